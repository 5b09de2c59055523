"""N4 bias field correction on a coarse sample of the image (spineps-behaviour 1.6).

As in SPINEPS, N4 fits the field to every fourth voxel along every axis. Means over blocks look
better, but are too clean: N4 then sharpens the edges of tissues into the field
(``benchmarks/n4.py``). The field is interpolated to the whole image.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813 (the name that everyone uses)
from scipy.interpolate import make_interp_spline

from columna.volume import bounding_box

MASK_MINIMUM = 60
"""N4 looks at the box around all voxels of at least this (normalised) intensity."""
SPLINE_ORDER = 3


@dataclass(frozen=True)
class N4Settings:
    """How N4 fits the field; the defaults were chosen with ``benchmarks/n4.py``.

    Ten iterations a level take a fifth of the time of the fifty of SPINEPS and differ from them by
    0.8 to 1.5 % inside the body (median). A looser convergence is no way to save time: on scans
    with a weak field it ends every level after an iteration or two.

    Parameters
    ----------
    step
        N4 sees every `step`-th voxel along each axis, as far as `minimum_samples` allows.
    minimum_samples
        Voxels to keep along an axis: thin stacks are not reduced to a few slices.
    iterations
        Most iterations at each level; every level halves the spacing of the knots.
    convergence
        A level ends when an iteration changes the field by less than this.
    knot_spacing_mm
        Spacing of the spline's knots at the first level.
    """

    step: int = 4
    minimum_samples: int = 4
    iterations: tuple[int, ...] = (10, 10, 10, 10)
    convergence: float = 1e-7
    knot_spacing_mm: float = 100.0


DEFAULT = N4Settings()


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
        float32, not rescaled; `array` itself where no voxel reaches `MASK_MINIMUM`.
    """
    box = bounding_box(array >= MASK_MINIMUM)
    if box is None:
        return array
    steps = sampling_steps(array[box].shape, settings)
    sample, starts = sampled(array[box], steps)
    log_field = fit_log_field(sample, spacing_mm * steps, settings)
    starts = starts + [s.start for s in box]
    return array / np.exp(interpolate(log_field, steps, starts, array.shape))


def sampling_steps(shape: tuple[int, ...], settings: N4Settings = DEFAULT) -> np.ndarray:
    """Voxels from one sample to the next along each axis."""
    return np.clip(np.asarray(shape) // settings.minimum_samples, 1, settings.step)


def sampled(array: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pick voxels at regular steps, centred in the image.

    Returns
    -------
    ndarray
        The samples.
    ndarray
        Index of the first sample along each axis.
    """
    shape = np.asarray(array.shape)
    starts = (shape - 1) % steps // 2
    return array[
        tuple(slice(start, None, step) for start, step in zip(starts, steps, strict=True))
    ], starts


def fit_log_field(image: np.ndarray, spacing_mm: np.ndarray, settings: N4Settings) -> np.ndarray:
    """Logarithm of the bias field that N4 finds in `image`, on the same voxels.

    As ANTs does, the image is padded to a multiple of the knot spacing, so that knots are equally
    far apart along all axes; N4 does not look at the padding.
    """
    extent = (np.asarray(image.shape) - 1) * spacing_mm
    n_spans = np.maximum(np.ceil(extent / settings.knot_spacing_mm), 1).astype(int)
    missing = np.round((n_spans * settings.knot_spacing_mm - extent) / spacing_mm).astype(int)
    widths = [(n // 2, n - n // 2) for n in missing]

    # Results depend on the number of threads, and the filters inside N4 take the global number
    # whatever n4 itself is told; set and never reset, so that N4s in two threads cannot collide.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(settings.iterations)
    n4.SetConvergenceThreshold(settings.convergence)
    n4.SetSplineOrder(SPLINE_ORDER)
    # SimpleITK counts axes from the last one
    n4.SetNumberOfControlPoints((n_spans + SPLINE_ORDER).tolist()[::-1])
    padded = _itk_image(np.pad(image, widths), spacing_mm)
    mask = _itk_image(np.pad(np.ones(image.shape, np.uint8), widths), spacing_mm)
    n4.Execute(padded, mask)
    field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(padded))
    inner = tuple(slice(low, low + n) for (low, _), n in zip(widths, image.shape, strict=True))
    return field[inner]


def interpolate(
    samples: np.ndarray, steps: np.ndarray, starts: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Interpolate samples to all voxels, by cubic splines, one axis after another.

    Parameters
    ----------
    samples
        Values at voxels `starts` + i x `steps`.
    steps, starts
        Voxels between samples and voxel of the first sample, along each axis.
    shape
        Voxels to make. Beyond the outermost samples their values continue.

    Returns
    -------
    ndarray
        float32.
    """
    result = samples.astype(np.float32)
    for step, start, size in zip(steps, starts, shape, strict=True):
        n_samples = result.shape[0]
        position = np.clip((np.arange(size) - start) / step, 0, n_samples - 1)
        order = SPLINE_ORDER if n_samples > SPLINE_ORDER else min(n_samples - 1, 1)
        spline = make_interp_spline(np.arange(n_samples), np.eye(n_samples), k=order)
        # contracts the first axis and appends the new one: after three turns the order is right
        result = np.tensordot(result, spline(position).astype(np.float32), axes=(0, 1))
    return np.ascontiguousarray(result)


def _itk_image(array: np.ndarray, spacing_mm: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(np.asarray(spacing_mm, float).tolist()[::-1])
    return image
