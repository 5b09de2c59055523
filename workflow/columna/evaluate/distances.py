"""Overlap and surface distances of two masks, in the box that holds both.

The figures are those of panoptica (Kofler et al., arXiv 2312.02608), to which tests compare them:
surface voxels are those that a 6-connected erosion removes, the average symmetric surface distance
is the mean of both directions, and the 95 % Hausdorff distance is the 95th percentile of the
distances of both directions together. They are computed here because one search for the nearest
voxels gives both, and because importing panoptica takes longer than evaluating a scan.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from columna.evaluate.overlap import dice
from columna.images.volume import bounding_box

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Closeness:
    """Two masks of one structure against each other.

    Parameters
    ----------
    dice
        None where both are empty.
    assd_mm, hd95_mm
        None where one is empty.
    reference_mm3, prediction_mm3
        Volumes.
    """

    dice: float | None
    assd_mm: float | None
    hd95_mm: float | None
    reference_mm3: float
    prediction_mm3: float


def closeness(
    reference: Bool, prediction: Bool, spacing_mm: NDArray[np.float64], voxel_mm3: float
) -> Closeness:
    """Compare two masks on one grid.

    Parameters
    ----------
    reference, prediction
        Shape of the scan, or of a part of it that holds both.
    spacing_mm
        Voxel size along each axis.
    voxel_mm3
        Volume of a voxel.
    """
    box = bounding_box(reference | prediction)
    if box is None:
        return Closeness(None, None, None, 0.0, 0.0)
    reference, prediction = reference[box], prediction[box]
    sizes = int(reference.sum()), int(prediction.sum())
    volumes = sizes[0] * voxel_mm3, sizes[1] * voxel_mm3
    if not all(sizes):
        return Closeness(0.0, None, None, *volumes)
    assd, hd95 = _surface_distances(reference, prediction, spacing_mm)
    return Closeness(dice(reference, prediction), assd, hd95, *volumes)


def _surface_distances(
    reference: Bool, prediction: Bool, spacing_mm: NDArray[np.float64]
) -> tuple[float, float]:
    """Average symmetric surface distance and 95 % Hausdorff distance, in mm."""
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (reference, prediction)]
    there = _distances(borders[1], borders[0], spacing_mm)
    back = _distances(borders[0], borders[1], spacing_mm)
    average = (there.mean() + back.mean()) / 2
    return float(average), float(np.percentile(np.concatenate([there, back]), 95))


def _distances(of: Bool, to: Bool, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from every voxel of one border to the nearest one of the other, in mm.

    A tree of voxels takes a fifth of the time of a distance map: what both share costs nothing.
    """
    distances = np.zeros(int(of.sum()))
    is_away = ~to[of]
    if is_away.any():
        tree = cKDTree(np.argwhere(to) * spacing_mm, balanced_tree=False, compact_nodes=False)
        distances[is_away] = tree.query(np.argwhere(of & ~to) * spacing_mm)[0]
    return distances
