"""Articular processes belong to one vertebra each."""

import numpy as np

from columna.anatomy import ARTICULAR_PROCESSES
from columna.label.components import find_components

DOMINANCE = 0.5
"""The second instance of a process must be smaller than this times the largest."""


def settle_articular(semantic: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Give every articular process to the instance that dominates it.

    Steps and reasons: docs/method.md#articular-processes.

    Voxels without instance have no say: windows of the instance network often cut processes off,
    and the rest of a process shows where it belongs. (SPINEPS counts background as a candidate
    and takes processes away from their vertebra.)

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R).

    Returns
    -------
    numpy.ndarray
        The instance mask, changed in place.
    """
    pieces = find_components(np.where(np.isin(semantic, ARTICULAR_PROCESSES), semantic, 0))
    index = np.flatnonzero(pieces.array)
    piece, flat = pieces.array.ravel()[index].astype(int), instance.reshape(-1)
    width = int(instance.max(initial=0)) + 1
    counts = np.bincount(piece * width + flat[index], minlength=len(pieces.voxels) * width)
    counts = counts.reshape(-1, width)
    counts[:, 0] = 0
    winner = counts.argmax(axis=1)
    ranked = np.sort(counts, axis=1)
    second = ranked[:, -2] if width > 1 else np.zeros(len(counts))
    decided = DOMINANCE * ranked[:, -1] > second
    settled = decided[piece]
    flat[index[settled]] = winner[piece[settled]]
    return instance
