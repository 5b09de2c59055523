"""N4 bias field correction on a coarse copy of the image (spineps-behaviour 1.6).

SPINEPS runs N4 of ANTs on every fourth voxel along every axis. A bias field is smooth, so the
field is fitted to means over blocks of about `N4Settings.working_mm` and interpolated back; the
time of N4 goes with the number of blocks. One ITK thread: the result must not depend on the
number of cores.
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

    Parameters
    ----------
    working_mm
        Size of the blocks, as far as `minimum_blocks` allows.
    minimum_blocks
        Blocks to keep along an axis: thin stacks are not shrunk to a few slices.
    iterations
        Most iterations at each level; every level halves the spacing of the knots.
    convergence
        A level ends when an iteration changes the field by less than this.
    knot_spacing_mm
        Spacing of the spline's knots at the first level.
    """

    working_mm: float = 7.0
    minimum_blocks: int = 6
    iterations: tuple[int, ...] = (50, 50, 50, 50)
    convergence: float = 1e-3
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
    factors = shrink_factors(array[box].shape, spacing_mm, settings)
    log_field = fit_log_field(block_means(array[box], factors), spacing_mm * factors, settings)
    starts = [s.start for s in box]
    return array / np.exp(interpolate_blocks(log_field, factors, starts, array.shape))


def shrink_factors(
    shape: tuple[int, ...], spacing_mm: np.ndarray, settings: N4Settings = DEFAULT
) -> np.ndarray:
    """Voxels per block along each axis."""
    wanted = np.round(settings.working_mm / np.asarray(spacing_mm)).astype(int)
    return np.maximum(np.minimum(wanted, np.asarray(shape) // settings.minimum_blocks), 1)


def block_means(array: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mean of every whole block; voxels beyond the last whole block are left out."""
    n_blocks = np.asarray(array.shape) // factors
    whole = array[tuple(slice(n) for n in n_blocks * factors)]
    blocks = whole.reshape(np.stack([n_blocks, factors], axis=1).ravel())
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def fit_log_field(image: np.ndarray, spacing_mm: np.ndarray, settings: N4Settings) -> np.ndarray:
    """Logarithm of the bias field that N4 finds in `image`, on the same voxels.

    As ANTs does, the image is padded to a multiple of the knot spacing, so that knots are equally
    far apart along all axes; N4 does not look at the padding.
    """
    extent = (np.asarray(image.shape) - 1) * spacing_mm
    n_spans = np.maximum(np.ceil(extent / settings.knot_spacing_mm), 1).astype(int)
    missing = np.round((n_spans * settings.knot_spacing_mm - extent) / spacing_mm).astype(int)
    widths = [(n // 2, n - n // 2) for n in missing]

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


def interpolate_blocks(
    blocks: np.ndarray, factors: np.ndarray, starts: list[int], shape: tuple[int, ...]
) -> np.ndarray:
    """Interpolate values at block centres to voxels, by cubic splines, one axis after another.

    Parameters
    ----------
    blocks
        One value per block.
    factors, starts
        Voxels per block and first voxel of the first block, along each axis.
    shape
        Voxels to make. Beyond the outermost block centres their values continue.

    Returns
    -------
    ndarray
        float32.
    """
    result = blocks.astype(np.float32)
    for factor, start, size in zip(factors, starts, shape, strict=True):
        n_blocks = result.shape[0]
        position = (np.arange(size) - start - (factor - 1) / 2) / factor
        order = min(SPLINE_ORDER, n_blocks - 1)
        if order % 2 == 0:
            order = max(order - 1, 0)
        spline = make_interp_spline(np.arange(n_blocks), np.eye(n_blocks), k=order)
        weights = spline(np.clip(position, 0, n_blocks - 1)).astype(np.float32)
        # contracts the first axis and appends the new one: after three turns the order is right
        result = np.tensordot(result, weights, axes=(0, 1))
    return np.ascontiguousarray(result)


def _itk_image(array: np.ndarray, spacing_mm: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(np.asarray(spacing_mm, float).tolist()[::-1])
    return image
