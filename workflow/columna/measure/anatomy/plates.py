"""Which endplate voxels belong to which body and side (docs/measures.md#g1).

SPINEPS gives both endplates of a disc space the number of the vertebra above: here each voxel goes
to the bone that it lies on.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from columna.measure.anatomy.frame import Frame
from columna.measure.tools.crops import Crop, to_world

REACH_MM = 3.0
"""Endplate voxels are at most so far (and half a voxel) from the surface of their bone."""


def owned_endplates(
    endplates: Crop, owners: Mapping[int, tuple[Crop, Frame]]
) -> dict[tuple[int, str], Crop]:
    """Divide endplate voxels among the bones.

    Parameters
    ----------
    endplates
        All endplate voxels (labels 52, 53 and 62) of a scan.
    owners
        Instance label -> voxels of the bone, and the frame that tells up from down.

    Returns
    -------
    dict
        (label, ``superior`` or ``inferior``) -> voxels.
    """
    if not owners or not endplates.voxels_n:
        return {}
    labels = list(owners)
    surfaces = [_surface(crop) for crop, _ in owners.values()]
    owner_of = np.repeat(np.arange(len(labels)), [len(points) for points in surfaces])
    finest = float(np.linalg.norm(endplates.affine[:3, :3], axis=0).min())
    tree = cKDTree(np.concatenate(surfaces))
    reach = REACH_MM + finest / 2
    distance, nearest = map(np.asarray, tree.query(endplates.points_mm, distance_upper_bound=reach))
    is_owned = np.isfinite(distance)
    owner = np.full(len(distance), -1)
    owner[is_owned] = owner_of[nearest[is_owned]]
    index = np.argwhere(endplates.mask)
    found = {}
    for number, label in enumerate(labels):
        mine = owner == number
        frame = owners[label][1]
        is_above = (endplates.points_mm[mine] - frame.origin) @ frame.s > 0
        for side, chosen in (("superior", is_above), ("inferior", ~is_above)):
            if chosen.any():
                found[label, side] = _crop_of(endplates, index[mine][chosen])
    return found


def _surface(crop: Crop) -> np.ndarray:
    """Centres of the voxels at the border of a structure, RAS+ mm."""
    border = crop.mask & ~ndimage.binary_erosion(crop.mask)
    return to_world(crop.affine, np.argwhere(border))


def _crop_of(whole: Crop, index: np.ndarray) -> Crop:
    """The voxels `index` of `whole`, cut out."""
    start = index.min(axis=0)
    mask = np.zeros(index.max(axis=0) - start + 1, bool)
    mask[tuple((index - start).T)] = True
    affine = whole.affine.copy()
    affine[:3, 3] = to_world(whole.affine, start)
    return Crop(mask, affine)
