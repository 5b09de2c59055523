"""Every voxel of a vertebra belongs to an instance, and no other voxel does."""

import cc3d
import numpy as np

from columna.anatomy import BODY, POSTERIOR_ELEMENTS, Semantic
from columna.label.adjacent_voxels import commonest, neighbour_steps

VERTEBRAL = (*POSTERIOR_ELEMENTS, *BODY, Semantic.DENS)
GROWTH_STEPS = 2


def assign_missing(semantic: np.ndarray, instance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give unassigned vertebral voxels to an instance, or delete them.

    Steps and reasons: docs/method.md#missing-voxels.

    Voxels within two steps of an instance go to the instance that most of their neighbours have;
    larger leftovers go, piece by piece, to the instance that surrounds them most. Pieces that
    touch no instance are deleted from the semantic mask. Instances end where vertebrae end.

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R) with an empty frame of one voxel.

    Returns
    -------
    tuple of numpy.ndarray
        Both masks, changed in place; unchanged if there is no vertebra or no instance.
    """
    vertebral = np.isin(semantic, VERTEBRAL)
    if not vertebral.any() or not instance.any():
        return semantic, instance
    instance[~vertebral] = 0
    left = _grow(vertebral, instance)
    _assign_pieces(left, semantic, instance)
    return semantic, instance


def _grow(vertebral: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Grow the instances inside `vertebral`; the flat indices of what stays unassigned."""
    flat = instance.reshape(-1)
    steps = neighbour_steps(instance.shape, rank=1)
    left = np.flatnonzero(vertebral.ravel() & (flat == 0))
    for _ in range(GROWTH_STEPS):
        taken = commonest(flat[left[:, None] + steps])
        flat[left] = taken
        left = left[taken == 0]
    return left


def _assign_pieces(left: np.ndarray, semantic: np.ndarray, instance: np.ndarray) -> None:
    """Assign the voxels `left` piece by piece to their commonest neighbour, or delete them."""
    if not len(left):
        return
    flat = instance.reshape(-1)
    rest = np.zeros(instance.shape, bool)
    rest.reshape(-1)[left] = True
    piece = cc3d.connected_components(rest, connectivity=18).ravel()[left].astype(int)
    around = left[:, None] + neighbour_steps(instance.shape, rank=2)
    # every surrounding voxel counts once per piece, however many voxels of the piece it touches
    pairs = np.unique(np.stack([np.repeat(piece, around.shape[1]), around.ravel()]), axis=1)
    width = int(flat.max()) + 1
    counts = np.bincount(pairs[0] * width + flat[pairs[1]], minlength=(piece.max() + 1) * width)
    counts = counts.reshape(-1, width)
    counts[:, 0] = 0
    owner = np.where(counts.any(axis=1), counts.argmax(axis=1), 0)[piece]
    flat[left] = owner
    semantic.reshape(-1)[left[owner == 0]] = 0
