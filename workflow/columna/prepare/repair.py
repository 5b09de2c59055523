"""Values that are no signal, put right when a scan is read; ordinary scans stay as they are.

What is told apart are bright voxels that overflowed (16-bit numbers that were written as if they
had a sign), values that a tool has put around the scan, and single voxels far from all others.
"""

import numpy as np

from columna.images.intensity import signal_range

OVERFLOWED = 2**14
"""Numbers of both signs beyond this occur in images that overflowed."""
SMOOTHER = 0.5
"""Differences to the neighbours shrink to less than this when overflowed voxels are put right."""


def repaired(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Put right what is no signal.

    Parameters
    ----------
    array
        Finite numbers, three axes.

    Returns
    -------
    ndarray
        The same array, unless something is wrong: overflowed voxels get their true value (the
        type becomes uint16), fill values far from the signal its lower limit, and outliers the
        limit that they are beyond.
    int
        How many outliers there were.
    """
    array = _without_overflow(array)
    limits = signal_range(array)
    is_far = limits.fill is not None and limits.fill != limits.low
    if not is_far and limits.floor <= array.min() and array.max() <= limits.ceiling:
        return array, 0
    low, high = (array.dtype.type(limit) for limit in (limits.low, limits.high))
    is_fill = np.zeros(array.shape, bool) if limits.fill is None else array == limits.fill
    below = (array < limits.floor) & ~is_fill
    above = (array > limits.ceiling) & ~is_fill
    result = array.copy()
    result[is_fill | below] = low
    result[above] = high
    return result, int(np.count_nonzero(below) + np.count_nonzero(above))


def _without_overflow(array: np.ndarray) -> np.ndarray:
    """Read int16 as uint16 where that makes the negative voxels like their neighbours."""
    if array.dtype != np.int16 or array.min() > -OVERFLOWED or array.max() < OVERFLOWED:
        return array
    unsigned = array.view(np.uint16)
    steps = [_steps_beside(array < 0, version) for version in (array, unsigned)]
    return unsigned if steps[1] < SMOOTHER * steps[0] else array


def _steps_beside(mask: np.ndarray, array: np.ndarray) -> int:
    """Sum of the differences along all axes between voxels of which one at least is in `mask`."""
    total = 0
    for axis in range(3):
        first, second = (np.moveaxis(mask, axis, 0)[part] for part in (slice(-1), slice(1, None)))
        moved = np.moveaxis(array, axis, 0).astype(np.int32)
        total += int(np.abs(np.diff(moved, axis=0))[first | second].sum(dtype=np.int64))
    return total
