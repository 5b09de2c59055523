"""Where the vertebral bodies are: one centre per body, from bottom to top."""

from dataclasses import dataclass

import cc3d
import numpy as np

from columna.anatomy import Semantic
from columna.images.morphology import eroded
from columna.images.volume import bounding_box
from columna.instance.split import split_body

EROSION_MM = 1.5
"""How far bodies are eroded within the slice: two voxels of the reference grid."""
SAME_HEIGHT_MM = 7.5
"""Two neighbours of one kind nearer than this along the height are pieces of one structure."""
SAME_BODY_MM = 30.0
"""But only if they are nearer than this across: farther, one of them is no part of this spine."""
NEIGHBOURS = 5
"""List places on either side among which an overlarge body is looked for."""
MIN_CANDIDATES = 4
MERGED_VOLUME_RATIO = 1.5
"""A body larger than this times the mean of the others is two bodies."""

INFERIOR = 1
"""The height axis of arrays in (P, I, R)."""


@dataclass(eq=False)
class Item:
    """A body (or a disc) in the sequence along the spine; lengths in voxels."""

    is_body: bool
    labels: list[int]
    centre: np.ndarray
    voxels: int
    was_split: bool = False

    @property
    def height(self) -> float:
        """Centre along I; larger is lower."""
        return float(self.centre[INFERIOR])

    def absorb(self, other: "Item") -> None:
        """Become one with another piece of the same structure."""
        total = self.voxels + other.voxels
        self.centre = (self.centre * self.voxels + other.centre * other.voxels) / total
        self.voxels = total
        self.labels += other.labels


def find_centres(semantic: np.ndarray, spacing_mm: np.ndarray, min_voxels: int) -> np.ndarray:
    """Find the centre of every vertebral body (docs/method.md#centres-of-bodies).

    Bodies and discs alternate along a spine. Where two bodies (or two discs) follow each other,
    either they are pieces of one structure, which are merged, or a body nearby is two bodies run
    together, which is split, at most once. False bodies beside the spine, at the height of true
    ones, stay bodies of their own.

    Parameters
    ----------
    semantic
        Semantic mask (P, I, R).
    spacing_mm
        Voxel size, shape (3,).
    min_voxels
        Smaller pieces of eroded bodies are noise.

    Returns
    -------
    numpy.ndarray
        Centres in voxels, shape (n, 3), from caudal to cranial; n may be 0.
    """
    dense = bool((semantic == Semantic.VERTEBRAL_BODY_INNER).any())
    cores = _dense_cores(semantic) if dense else _eroded_cores(semantic, spacing_mm, min_voxels)
    bodies = cc3d.connected_components(cores, connectivity=26, out_dtype=np.uint32)
    is_disc = (semantic == Semantic.DISC) | (semantic == Semantic.ENDPLATE)
    discs = cc3d.connected_components(is_disc, connectivity=26)
    items = _restore_alternation(_items(bodies, True), _items(discs, False), bodies, spacing_mm)
    centres = [item.centre for item in items if item.is_body]
    if dense:
        dens = cc3d.connected_components(semantic == Semantic.DENS, connectivity=26)
        centres += [item.centre for item in _items(dens, True)]
    return np.array(centres[::-1]).reshape(-1, 3)


def _dense_cores(semantic: np.ndarray) -> np.ndarray:
    """Models that tell the inside of the body from its border separate the bodies themselves."""
    return semantic == Semantic.VERTEBRAL_BODY_INNER


def _eroded_cores(semantic: np.ndarray, spacing_mm: np.ndarray, min_voxels: int) -> np.ndarray:
    cores = semantic == Semantic.VERTEBRAL_BODY
    box = bounding_box(cores)
    if box is None:
        return cores
    # on a coarse grid two voxels would leave nothing of a cervical body
    steps = max(round(EROSION_MM / float(np.min(spacing_mm))), 1)
    cores[box] = eroded(cores[box], rank=2, steps=steps)
    return cc3d.dust(cores, threshold=min_voxels, connectivity=6) > 0


def _items(components: np.ndarray, is_body: bool) -> list[Item]:
    found = cc3d.statistics(components)
    return [
        Item(is_body, [label], found["centroids"][label], int(found["voxel_counts"][label]))
        for label in range(1, len(found["voxel_counts"]))
    ]


def _sorted(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.height, *item.centre))


def _restore_alternation(
    bodies: list[Item], discs: list[Item], labels: np.ndarray, spacing_mm: np.ndarray
) -> list[Item]:
    """Merge pieces and split run-together bodies; the items from top to bottom."""
    items = _sorted(bodies + discs)
    place = 0
    while discs and place + 1 < len(items):
        here, following = items[place], items[place + 1]
        if here.is_body != following.is_body:
            place += 1
        elif (following.height - here.height) * spacing_mm[INFERIOR] < SAME_HEIGHT_MM:
            if np.linalg.norm((following.centre - here.centre) * spacing_mm) < SAME_BODY_MM:
                here.absorb(following)
                items.remove(following)
            else:
                place += 1
        else:
            halves = _split_largest(items, place, labels, spacing_mm)
            items = _sorted(halves) if halves else items
            place += 1
    return items


def _split_largest(
    items: list[Item], place: int, labels: np.ndarray, spacing_mm: np.ndarray
) -> list[Item] | None:
    """Split the largest body around `place` if it is overlarge; the new list, or None."""
    around = items[max(place - NEIGHBOURS, 0) : place] + items[place + 1 : place + 1 + NEIGHBOURS]
    candidates = [item for item in around if item.is_body]
    if len(candidates) < MIN_CANDIDATES:
        return None
    largest = max(candidates, key=lambda item: item.voxels)
    others = np.mean([item.voxels for item in candidates if item is not largest])
    if largest.was_split or largest.voxels <= MERGED_VOLUME_RATIO * others:
        return None
    blob = np.isin(labels, largest.labels)
    far = split_body(blob, spacing_mm)
    if far is None:
        return None
    halves = [_half(blob & ~far), _half(far)]
    apart_mm = abs(halves[0].height - halves[1].height) * spacing_mm[INFERIOR]
    if apart_mm < SAME_HEIGHT_MM:  # side by side: one wide body
        return None
    return [item for item in items if item is not largest] + halves


def _half(mask: np.ndarray) -> Item:
    voxels = np.argwhere(mask)
    return Item(True, [], voxels.mean(axis=0), len(voxels), was_split=True)
