"""N4 bias field correction: which voxels N4 sees, and where (docs/method.md#bias-field).

All of it follows ANTs, which SPINEPS calls, since the field depends on which voxels are picked: it
changes by some percent when all of them move by one voxel.
"""

from dataclasses import dataclass

import numpy as np

from columna.images.intensity import signal_box
from columna.images.volume import Box
from columna.prepare.bspline import along_axes, basis
from columna.prepare.n4 import DEFAULT, N4Settings, fit_log_field

MASK_MINIMUM = 60
"""N4 looks at the box of planes with voxels of at least this (normalised) intensity."""


def correct_bias(
    array: np.ndarray, spacing_mm: np.ndarray, settings: N4Settings = DEFAULT
) -> np.ndarray:
    """Divide an image by its bias field.

    Parameters
    ----------
    array
        float32, three axes, normalised (`normalise`) and cropped to its content.
    spacing_mm
        Voxel size along the axes of `array`, shape (3,).
    settings
        How to fit the field.

    Returns
    -------
    ndarray
        float32, not rescaled, unchanged outside the box of voxels that reach `MASK_MINIMUM`;
        `array` itself where none does.
    """
    box = signal_box(array >= MASK_MINIMUM)
    if box is None:
        return array
    axes = place_axes(array.shape, spacing_mm, box, settings)
    control = fit_log_field(
        _without_darkest(array[tuple(axis.samples for axis in axes)]),
        [axis.sample_positions for axis in axes],
        [axis.n_spans for axis in axes],
        settings,
    )
    refined = 2 ** (len(settings.iterations) - 1)
    weights = [basis(a.voxel_positions * refined, a.n_spans * refined) for a in axes]
    field = along_axes(control.astype(np.float32), [w.astype(np.float32) for w in weights])
    corrected = array.copy()
    corrected[box] /= np.exp(field, out=field)
    return corrected


def _without_darkest(samples: np.ndarray) -> np.ndarray:
    """Make the darkest sample as dark as the next one.

    N4's histogram of logarithms begins at the darkest sample: a single zero among tissue would
    make its bins several times as wide.
    """
    if samples.size < 2:
        return samples
    return np.maximum(samples, np.partition(samples, 1, axis=None)[1])


def place_axes(
    shape: tuple[int, ...], spacing_mm: np.ndarray, box: Box, settings: N4Settings = DEFAULT
) -> list["AxisGrid"]:
    """Samples and voxels along each axis of an image whose mask is `box`."""
    return [
        AxisGrid.around(size, spacing, inside, settings)
        for size, spacing, inside in zip(shape, spacing_mm, box, strict=True)
    ]


@dataclass(frozen=True)
class AxisGrid:
    """Samples and voxels of the masked part of one axis, placed among the knots of the field.

    Attributes
    ----------
    n_spans
        Knot spacings at the first level.
    samples
        Voxels that N4 sees.
    sample_positions
        Where N4 takes them to be, in spans, one for each sample.
    voxel_positions
        Where the field is read out, in spans, one for each voxel of the mask.
    """

    n_spans: int
    samples: slice
    sample_positions: np.ndarray
    voxel_positions: np.ndarray

    @classmethod
    def around(
        cls, size: int, spacing_mm: float, inside: slice, settings: N4Settings
    ) -> "AxisGrid":
        """Place an axis as ANTs does.

        The image lies amid padding that makes it a whole number of knot spacings long. The field
        ends at the outermost samples when it is fitted, but at the outermost voxels of the padding
        when it is read out. This stretch, a quarter across thick slices, is kept: undoing it
        changes images by 2 % (median) and makes tissues no more homogeneous.

        Parameters
        ----------
        size
            Voxels along the axis.
        spacing_mm
            Voxel size.
        inside
            The masked voxels. If they are fewer than two steps, N4 sees each of them.
        settings
            Step and knot spacing.
        """
        step = settings.step if inside.stop - inside.start >= 2 * settings.step else 1
        extent_mm = (size - 1) * spacing_mm
        n_spans = max(int(np.ceil(extent_mm / settings.knot_spacing_mm)), 1)
        n_padding = int((n_spans * settings.knot_spacing_mm - extent_mm) / spacing_mm + 0.5)
        n_before, n_padded = n_padding // 2, size + n_padding

        # samples are centred in the padded image, but not left of multiples of the step as
        # counted from the first voxel of the image (itk::ShrinkImageFilter)
        n_samples = max(n_padded // step, 1)
        first = max((n_padded - n_samples * step + step) // 2, n_before % step) - n_before
        used = np.arange(n_samples)
        used = used[(first + used * step >= inside.start) & (first + used * step < inside.stop)]
        start, stop = first + used[0] * step, first + used[-1] * step + 1
        voxels = np.arange(inside.start, inside.stop) + n_before
        return cls(
            n_spans,
            slice(int(start), int(stop), step),
            n_spans * used / max(n_samples - 1, 1),
            n_spans * voxels / max(n_padded - 1, 1),
        )
