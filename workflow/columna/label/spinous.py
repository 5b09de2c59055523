"""A spinous process that went to the wrong vertebra."""

import numpy as np

from columna.anatomy import Semantic
from columna.images.triple import three
from columna.images.volume import Box
from columna.label.components import find_components

MAX_PIECES = 3
MOVABLE = (Semantic.ARCUS, Semantic.SPINOUS_PROCESS)


def move_posterior_elements(semantic: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Give detached arch and spinous pieces to the vertebra they lie at.

    Steps and reasons: docs/method.md#detached-arches.

    Of the three largest pieces of an instance, one that is not the largest, consists of arch and
    spinous process only, and meets exactly one other instance in its box is given to that one.

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R) with an empty frame of one voxel.

    Returns
    -------
    numpy.ndarray
        The instance mask, changed in place.
    """
    pieces = find_components(instance)
    for label in range(1, int(instance.max(initial=0)) + 1):
        for piece in pieces.of(label)[1:MAX_PIECES]:
            box = _padded(pieces.boxes[piece])
            mine = pieces.array[box] == piece
            if not np.isin(semantic[box][mine], MOVABLE).all():
                continue
            others = np.setdiff1d(instance[box], [0, label])
            if len(others) == 1:
                instance[box][mine] = others[0]
    return instance


def _padded(box: Box) -> Box:
    """Return the box with one voxel more on every side; the frame keeps it inside the array."""
    return three(slice(s.start - 1, s.stop + 1) for s in box)
