"""Look at the neighbours of few voxels of a large array.

The arrays of the label stage are C-contiguous and have an empty frame of one voxel, so that a
neighbour is a fixed step in the flattened array and never wraps around. Steps that touch only
unsettled voxels cost time in proportion to those, not to the volume.
"""

from itertools import product

import numpy as np


def neighbour_steps(shape: tuple[int, ...], rank: int) -> np.ndarray:
    """Flat-index steps to the 6 (rank 1), 18 (rank 2) or 26 (rank 3) neighbours."""
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    steps = [
        np.dot(step, strides)
        for step in product((-1, 0, 1), repeat=3)
        if 0 < np.count_nonzero(step) <= rank
    ]
    return np.array(steps)


def commonest(labels: np.ndarray) -> np.ndarray:
    """Most frequent non-zero label of each row of (n, k) `labels`; ties go to the smallest.

    0 where a row holds zeros only.
    """
    ordered = np.sort(labels, axis=1)
    counts = (ordered[:, :, None] == ordered[:, None, :]).sum(axis=2)
    counts[ordered == 0] = 0
    return ordered[np.arange(len(ordered)), counts.argmax(axis=1)] if len(ordered) else labels[:, 0]
