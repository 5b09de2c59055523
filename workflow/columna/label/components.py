"""Connected pieces of label arrays, found in one pass, with their sizes, boxes and centres."""

from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np

from columna.images.volume import Box

INFERIOR = 1
"""The height axis of arrays in (P, I, R)."""


@dataclass(frozen=True, eq=False)
class Components:
    """Pieces 1..n of a label array; index 0 of every list is the background.

    Parameters
    ----------
    array
        Number of the piece that each voxel belongs to, 0 outside.
    owner
        Label of each piece in the array it was found in.
    voxels, centres, boxes
        Size, centre (voxels, shape (3,)) and bounding box of each piece.
    """

    array: np.ndarray
    owner: np.ndarray
    voxels: np.ndarray
    centres: np.ndarray
    boxes: list[Box]

    @property
    def numbers(self) -> range:
        """All pieces."""
        return range(1, len(self.voxels))

    def of(self, label: int) -> np.ndarray:
        """Pieces of `label`, largest first."""
        mine = np.flatnonzero(self.owner == label)
        return mine[np.argsort(-self.voxels[mine], kind="stable")]


def find_components(labels: np.ndarray, connectivity: Literal[6, 18, 26] = 26) -> Components:
    """Find the connected pieces of every label of `labels` (two labels are never one piece)."""
    array = cc3d.connected_components(labels, connectivity=connectivity)
    found = cc3d.statistics(array)
    voxels = found["voxel_counts"].astype(int)
    owner = np.zeros(len(voxels), int)
    inside = np.flatnonzero(array)
    owner[array.ravel()[inside]] = labels.ravel()[inside]
    return Components(array, owner, voxels, found["centroids"], list(found["bounding_boxes"]))


def centres_of(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxel counts (count + 1,) and centres (count + 1, 3) of the labels 0..`count`.

    Centres of labels that do not occur are NaN. Entry 0 stands for the background and is empty.
    """
    index = np.flatnonzero(labels)
    values = labels.ravel()[index]
    voxels = np.bincount(values, minlength=count + 1)
    sums = [
        np.bincount(values, weights=axis, minlength=count + 1)
        for axis in np.unravel_index(index, labels.shape)
    ]
    with np.errstate(invalid="ignore"):
        return voxels, np.stack(sums, axis=1) / voxels[:, None]
