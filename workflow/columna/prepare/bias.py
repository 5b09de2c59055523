"""N4 bias field correction on a coarse copy of the image (spineps-behaviour 1.6).

SPINEPS runs N4 of ANTs on every fourth voxel along every axis. A bias field has no detail finer
than the spline's knots, so the field is fitted on voxels of about `WORKING_MM` and evaluated at
full resolution. One ITK thread: results must not depend on the number of cores.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from columna.volume import bounding_box

MASK_MINIMUM = 60
"""N4 looks at the box around all voxels of at least this (normalised) intensity."""


@dataclass(frozen=True)
class N4Settings:
    """How N4 fits the field; the defaults were chosen by ``benchmarks/n4.py``.

    Parameters
    ----------
    working_mm
        Voxel size that the image is shrunk to, as far as `minimum_samples` allows.
    minimum_samples
        Voxels to keep along an axis.
    iterations
        Most iterations at each level; every level halves the spacing of the knots.
    convergence
        A level ends when the field changes by less than this.
    knot_spacing_mm
        Spacing of the spline's knots at the first level.
    """

    working_mm: float = 6.0
    minimum_samples: int = 6
    iterations: tuple[int, ...] = (50, 50, 50, 50)
    convergence: float = 1e-3
    knot_spacing_mm: float = 100.0


DEFAULT = N4Settings()
SPLINE_ORDER = 3


def correct_bias(
    array: np.ndarray, spacing_mm: np.ndarray, settings: N4Settings = DEFAULT
) -> np.ndarray:
    """Divide an image by its bias field.

    Parameters
    ----------
    array
        float32, three axes, normalised (`normalise`) and cropped to its content.
    spacing_mm
        Voxel size along the axes of `array`.
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
    factors = shrink_factors(array.shape, spacing_mm, settings)
    log_field = _fit(array, box, spacing_mm, factors, settings)
    return array / np.exp(log_field)


def shrink_factors(
    shape: tuple[int, ...], spacing_mm: np.ndarray, settings: N4Settings = DEFAULT
) -> list[int]:
    """Whole-number factors that bring voxels near the working size and keep enough of them."""
    wanted = np.round(settings.working_mm / np.asarray(spacing_mm))
    allowed = np.asarray(shape) // settings.minimum_samples
    return [int(f) for f in np.maximum(np.minimum(wanted, allowed), 1)]


def _fit(array, box, spacing_mm, factors, settings):
    image = _image(array, spacing_mm)
    inside = np.zeros(array.shape, np.uint8)
    inside[box] = 1
    mask = _image(inside, spacing_mm)
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetMaximumNumberOfIterations(settings.iterations)
    filter_.SetConvergenceThreshold(settings.convergence)
    filter_.SetSplineOrder(SPLINE_ORDER)
    extent = np.asarray(array.shape) * spacing_mm
    n_points = np.ceil(extent / settings.knot_spacing_mm).astype(int) + SPLINE_ORDER
    filter_.SetNumberOfControlPoints([int(n) for n in n_points[::-1]])
    order = [int(f) for f in factors[::-1]]
    filter_.Execute(sitk.Shrink(image, order), sitk.Shrink(mask, order))
    field = filter_.GetLogBiasFieldAsImage(image)
    return sitk.GetArrayFromImage(field)


def _image(array, spacing_mm):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(s) for s in spacing_mm[::-1]])
    return image
