"""The dens of C2 is no vertebra of its own."""

import cc3d
import numpy as np

from columna.anatomy import Semantic
from columna.images.volume import bounding_box
from columna.label.components import INFERIOR, Components, centres_of

MAX_SIZE_RATIO = 0.5
MIN_CONTACT_MM2 = 20 * 0.928125 ** (2 / 3)
"""20 voxel faces of SPINEPS' reference voxel."""
HEIGHT_LABELS = (Semantic.ARCUS, Semantic.VERTEBRAL_BODY)


def merge_split_c2(
    semantic: np.ndarray, instance: np.ndarray, spaces: Components, voxel_volume_mm3: float
) -> np.ndarray:
    """Merge a small topmost instance into the one below (docs/method.md#a-split-c2).

    Only if no disc lies between them, the first is less than half as large, and they touch.

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R).
    spaces
        Pieces of discs and endplates.
    voxel_volume_mm3
        Volume of a voxel.

    Returns
    -------
    numpy.ndarray
        The instance mask, changed in place.
    """
    if not (spaces.owner == Semantic.DISC).any():
        return instance
    pair = _topmost_pair(semantic, instance, float(spaces.centres[1:, INFERIOR].min()))
    if pair is None:
        return instance
    first, second = pair
    box = bounding_box((instance == first) | (instance == second))
    both = instance[box]
    is_first, is_second = both == first, both == second
    if np.count_nonzero(is_first) >= MAX_SIZE_RATIO * np.count_nonzero(is_second):
        return instance
    least = max(round(MIN_CONTACT_MM2 / voxel_volume_mm3 ** (2 / 3)), 1)
    if _contacts(is_first, is_second) > least:
        both[is_first] = second
    return instance


def _topmost_pair(
    semantic: np.ndarray, instance: np.ndarray, first_space: float
) -> tuple[int, int] | None:
    """Return the two uppermost instances, if both lie above all discs and endplates."""
    central = np.where(np.isin(semantic, HEIGHT_LABELS), instance, 0)
    heights = centres_of(central, int(instance.max(initial=0)))[1][:, INFERIOR]
    first, second = [*np.argsort(heights), 0, 0][:2]
    above = np.isfinite(heights[second]) and heights[second] < first_space
    return (int(first), int(second)) if above else None


def _contacts(first: np.ndarray, second: np.ndarray) -> int:
    """Count the pairs of 26-neighbours of which one is in `first` and one in `second`."""
    pair = first.astype(np.uint8) + 2 * second.astype(np.uint8)
    return int(cc3d.contacts(pair, connectivity=26, surface_area=False).get((1, 2), 0))
