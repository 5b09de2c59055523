"""Erosion and dilation of boolean masks by whole voxels, as shifted logical operations.

Neighbourhoods have the rank of SPINEPS and scipy: 1 is the 6-, 2 the 18-, 3 the
26-neighbourhood. Whole-array shifts of booleans are an order of magnitude faster than scipy's
general structuring elements.
"""

from collections.abc import Callable
from functools import reduce
from itertools import combinations

import numpy as np

Step = Callable[[np.ndarray, int], np.ndarray]


def dilated(mask: np.ndarray, rank: int, steps: int = 1) -> np.ndarray:
    """Grow the true voxels of a 3-D boolean `mask` by `steps` neighbourhoods."""
    for _ in range(steps):
        mask = reduce(np.logical_or, _along_axes(mask, rank, _spread))
    return mask


def eroded(mask: np.ndarray, rank: int, steps: int = 1) -> np.ndarray:
    """Shrink the true voxels of a 3-D boolean `mask`; beyond the array counts as false."""
    for _ in range(steps):
        mask = reduce(np.logical_and, _along_axes(mask, rank, _shrink))
    return mask


def _along_axes(mask: np.ndarray, rank: int, step: Step) -> list[np.ndarray]:
    """Apply `step` along every combination of `rank` axes: the neighbourhood is their union."""
    results = []
    for axes in combinations(range(3), rank):
        result = mask
        for axis in axes:
            result = step(result, axis)
        results.append(result)
    return results


def _spread(mask: np.ndarray, axis: int) -> np.ndarray:
    source, result = np.moveaxis(mask, axis, 0), mask.copy()
    target = np.moveaxis(result, axis, 0)
    target[1:] |= source[:-1]
    target[:-1] |= source[1:]
    return result


def _shrink(mask: np.ndarray, axis: int) -> np.ndarray:
    source, result = np.moveaxis(mask, axis, 0), mask.copy()
    target = np.moveaxis(result, axis, 0)
    target[1:] &= source[:-1]
    target[:-1] &= source[1:]
    target[0] = target[-1] = False
    return result
