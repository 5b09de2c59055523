"""How far two masks of one grid agree."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Agreement of two label masks.

    Parameters
    ----------
    equal
        Share of the voxels that are foreground in either mask and have the same label in both.
    worst_dice
        Smallest Dice of a label of the second mask.
    differing_n
        Voxels with another label.
    """

    equal: float
    worst_dice: float
    differing_n: int


def agreement(ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """Compare label by label."""
    either = (ours > 0) | (theirs > 0)
    differing_n = int(np.count_nonzero(ours != theirs))
    worst = min((dice(ours == label, theirs == label) for label in labels(theirs)), default=1.0)
    return Agreement(1 - differing_n / max(int(either.sum()), 1), worst, differing_n)


def instance_agreement(ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """Compare masks whose numbers mean nothing: each of theirs meets ours of largest overlap."""
    renumbered = np.where(ours > 0, theirs.max(initial=0) + ours.astype(int), 0)
    for label in labels(theirs):
        inside = ours[theirs == label]
        counts = np.bincount(inside[inside > 0], minlength=1)
        if counts.any():
            renumbered[ours == counts.argmax()] = label
    return agreement(renumbered, theirs)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def labels(mask: np.ndarray) -> np.ndarray:
    found = np.unique(mask)
    return found[found > 0]
