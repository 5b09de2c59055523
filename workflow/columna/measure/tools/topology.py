"""Components and cavities of all labels of a mask in one pass each."""

from dataclasses import dataclass

import cc3d
import fastremap
import numpy as np

_NEIGHBOURS = ((0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1))


@dataclass(frozen=True)
class Topology:
    """Components (26-connected), share of the largest, and cavities of one label."""

    components_n: int
    largest_component_ratio: float
    holes_n: int


def topology(mask: np.ndarray) -> dict[int, Topology]:
    """Components and cavities of every label of `mask`.

    A cavity is background (0, 6-connected) whose neighbours all bear one and the same label, and
    that does not reach the edge of the array.
    """
    sizes = _component_sizes(mask)
    holes = _holes(mask)
    return {
        label: Topology(len(found), max(found) / sum(found), holes.get(label, 0))
        for label, found in sizes.items()
    }


def _component_sizes(mask: np.ndarray) -> dict[int, list[int]]:
    """Label -> voxels of each of its components."""
    components = cc3d.connected_components(mask, connectivity=26)
    label_of = fastremap.component_map(components, mask)
    numbers, counts = fastremap.unique(components, return_counts=True)
    sizes: dict[int, list[int]] = {}
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if number:
            sizes.setdefault(int(label_of[number]), []).append(count)
    return sizes


def _holes(mask: np.ndarray) -> dict[int, int]:
    """Label -> cavities that it alone encloses."""
    pockets = cc3d.connected_components(mask == 0, connectivity=6, binary_image=True)
    faces = [np.moveaxis(pockets, axis, 0)[end] for axis in range(3) for end in (0, -1)]
    open_ones = np.unique(np.concatenate([np.unique(face) for face in faces]))
    is_closed = np.ones(int(pockets.max()) + 1, bool)
    is_closed[open_ones] = False
    is_closed[0] = False
    if not is_closed.any():
        return {}
    places = np.nonzero(is_closed[pockets])
    return _enclosing_labels(mask, places, pockets[places])


def _enclosing_labels(
    mask: np.ndarray, places: tuple[np.ndarray, ...], pockets: np.ndarray
) -> dict[int, int]:
    """Label -> pockets whose neighbours bear no other label; `places` are inside the array."""
    lowest = np.full(int(pockets.max()) + 1, np.iinfo(mask.dtype).max, mask.dtype)
    highest = np.zeros_like(lowest)
    for axis, step in _NEIGHBOURS:
        moved = [p + step if i == axis else p for i, p in enumerate(places)]
        labels = mask[tuple(moved)]
        is_wall = labels != 0
        np.minimum.at(lowest, pockets[is_wall], labels[is_wall])
        np.maximum.at(highest, pockets[is_wall], labels[is_wall])
    alone = lowest[(lowest == highest) & (highest > 0)]
    labels, counts = np.unique(alone, return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))
