"""Intensities of any type on the scale that SPINEPS works on (spineps-behaviour 1.6)."""

import numpy as np

MAXIMUM = 1500.0
"""Larger maxima are scaled down to this."""
STRETCH_BELOW = 60.0
"""Smaller maxima are scaled up to `MAXIMUM`: N4 looks at voxels of 60 and more, so SPINEPS fails
on such images, for example on images stored as 0 to 1."""


def normalise(array: np.ndarray) -> np.ndarray:
    """Subtract the minimum, then bring the maximum to at most 1500.

    Equal to SPINEPS where the maximum lies in 60 to 1500. Above, SPINEPS truncates to the type of
    the file (up to one of 1500 units lower), and its integers overflow over their full range.

    Parameters
    ----------
    array
        Finite numbers of any type, three axes.

    Returns
    -------
    ndarray
        float32, 0 to at most 1500, in the memory order of `array`; zeros if `array` is constant.
    """
    low, high = array.min(), array.max()
    work = np.longdouble if _overflows(low, high) else np.float64
    low, span = work(low), work(high) - work(low)
    result = np.zeros_like(array, dtype=np.float32)
    if span == 0:
        return result
    rescaled = span > MAXIMUM or span < STRETCH_BELOW
    for k in range(array.shape[2]):  # slice by slice: no second image in double precision
        plane = array[..., k].astype(work) - low
        result[..., k] = plane / span * MAXIMUM if rescaled else plane
    return result


def _overflows(low: np.number, high: np.number) -> bool:
    """Whether the range of an image exceeds double precision."""
    return not np.isfinite(float(high) - float(low))
