"""The N4 algorithm: a smooth field from samples of an image (Tustison et al. 2010).

Step by step what ITK's N4BiasFieldCorrectionImageFilter does, for samples that fill a box; on
such a grid the fit of the splines, which takes nearly all of ITK's time, is separable (`bspline`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columna.prepare.bspline import along_axes, basis, fitting, refining
from columna.prepare.sharpen import sharpen


@dataclass(frozen=True)
class N4Settings:
    """How N4 fits the field; the defaults are those of SPINEPS (docs/method.md#bias-field).

    Parameters
    ----------
    step
        N4 sees every `step`-th voxel along each axis.
    iterations
        Most iterations at each level; every level halves the spacing of the knots.
    convergence
        A level ends when an iteration changes the field by less than this (coefficient of
        variation of the factor).
    knot_spacing_mm
        Spacing of the spline's knots at the first level.
    """

    step: int = 4
    iterations: tuple[int, ...] = (50, 50, 50, 50)
    convergence: float = 1e-7
    knot_spacing_mm: float = 100.0


DEFAULT = N4Settings()


def fit_log_field(
    samples: np.ndarray,
    positions: Sequence[np.ndarray],
    n_spans: Sequence[int],
    settings: N4Settings = DEFAULT,
) -> np.ndarray:
    """Fit the logarithm of the bias field.

    Parameters
    ----------
    samples
        Intensities on a grid; those of 0 and below count as 1.
    positions
        Where the grid lies along each axis, in spans of the first level.
    n_spans
        Spans along each axis at the first level.
    settings
        Iterations and convergence.

    Returns
    -------
    ndarray
        Control points of the last level, n spans x 2^(levels - 1) + 3 along each axis.
    """
    image = np.log(np.where(samples > 0, samples, 1), dtype=float)
    field = np.zeros_like(image)
    control = np.zeros([n + 3 for n in n_spans])
    for level, n_iterations in enumerate(settings.iterations):
        scale = 2**level
        if level > 0:
            control = along_axes(control, [refining(n * scale // 2) for n in n_spans])
        weights = [basis(p * scale, n * scale) for p, n in zip(positions, n_spans, strict=True)]
        fits = [fitting(w) for w in weights]
        for _ in range(n_iterations):
            uncorrected = image - field
            control += along_axes(uncorrected - sharpen(uncorrected), fits)
            previous, field = field, along_axes(control, weights)
            if variation(field - previous) <= settings.convergence:
                break
    return control


def variation(log_factor: np.ndarray) -> float:
    """Coefficient of variation of a factor, given its logarithm; 0 for a single value."""
    factor = np.exp(log_factor)
    return float(factor.std(ddof=1) / factor.mean()) if factor.size > 1 else 0.0
