"""Turn couples of predictions into one mask of instances."""

import cc3d
import fill_voids
import numpy as np
from scipy import ndimage

from columna.images.volume import Box
from columna.instance.couples import Couple
from columna.instance.window_parts import enclosing, relative

MAJORITY_SCORE = 0.45
"""Three members that agree at least this well decide by two votes, others by one."""
MAX_OVERLAP = 0.6
"""A couple that lies to a larger part in instances that are already there is dropped."""


def merge_couples(couples: list[Couple], shape: tuple[int, ...], min_voxels: int) -> np.ndarray:
    """Place couples one after the other, the best first (docs/method.md#merging).

    A couple whose members have no majority anywhere is left out; the others stay.

    Parameters
    ----------
    couples
        In the order of `find_couples`.
    shape
        Of the crop that the members' boxes refer to.
    min_voxels
        Smaller 6-connected pieces are deleted.

    Returns
    -------
    numpy.ndarray
        uint16 mask with ids 1..n, not ordered along the spine; all zero if nothing is left.
    """
    merged = np.zeros(shape, np.uint16)
    placed = 0
    for couple in couples:
        box, selected = _vote(couple)
        size = np.count_nonzero(selected)
        target = merged[box]
        free = selected & (target == 0)
        if size == 0 or (size - np.count_nonzero(free)) / size > MAX_OVERLAP:
            continue
        placed += 1
        target[free] = placed
    return _cleaned(merged, min_voxels)


def _vote(couple: Couple) -> tuple[Box, np.ndarray]:
    """Voxels that enough members agree on, within the box around all of them."""
    box = enclosing([member.box for member in couple.members])
    votes = np.zeros([s.stop - s.start for s in box], np.uint8)
    for member in couple.members:
        votes[relative(member.box, box)] += member.mask
    need = 2 if len(couple.members) == 3 and couple.score >= MAJORITY_SCORE else 1
    return box, votes >= need


def _cleaned(merged: np.ndarray, min_voxels: int) -> np.ndarray:
    """Delete small pieces, fill holes, number consecutively."""
    merged = cc3d.dust(merged, threshold=min_voxels, connectivity=6)
    result = np.zeros_like(merged)
    count = 0
    for label, box in enumerate(ndimage.find_objects(merged), 1):
        if box is None:
            continue
        count += 1
        filled = fill_voids.fill(np.ascontiguousarray(merged[box] == label)).astype(bool)
        target = result[box]
        target[filled & ((merged[box] == 0) | (merged[box] == label))] = count
    return result
