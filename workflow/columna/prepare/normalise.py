"""Intensities of any type on the scale that SPINEPS works on (docs/method.md#intensities)."""

import numpy as np

from columna.images.intensity import signal_range

MAXIMUM = 1500.0
"""Larger maxima are scaled down to this."""
STRETCH_BELOW = 60.0
"""Smaller maxima are scaled up to `MAXIMUM`: N4 looks at voxels of 60 and more, so SPINEPS fails
on such images, for example on images stored as 0 to 1."""


def normalise(array: np.ndarray) -> np.ndarray:
    """Subtract the lower limit of the signal, then bring the upper one to at most 1500.

    Equal to SPINEPS, which takes minimum and maximum, where these lie 60 to 1500 apart and no
    voxel is far from all others. Above, SPINEPS truncates to the type of the file (up to one of
    1500 units lower), and its integers overflow over their full range.

    Parameters
    ----------
    array
        Finite numbers of any type, three axes.

    Returns
    -------
    ndarray
        float32, 0 to at most 1500, in the memory order of `array`; zeros if `array` is constant.
        Values beyond the limits (`columna.images.intensity`) are set to them, fill values to 0.
    """
    limits = signal_range(array)
    work = np.longdouble if _overflows(array.min(), array.max()) else np.float64
    low, high, span = work(limits.low), work(limits.high), work(limits.span)
    result = np.zeros_like(array, dtype=np.float32)
    if span == 0:
        return result
    rescaled = span > MAXIMUM or span < STRETCH_BELOW
    for k in range(array.shape[2]):  # slice by slice: no second image in double precision
        plane = np.clip(array[..., k].astype(work), low, high) - low
        if limits.fill is not None:
            plane[array[..., k] == limits.fill] = 0
        result[..., k] = plane / span * MAXIMUM if rescaled else plane
    return result


def _overflows(low: np.number, high: np.number) -> bool:
    """Whether the range of an image exceeds double precision."""
    return not np.isfinite(float(high) - float(low))
