"""Deletion of structures far from the spine, by distance.

SPINEPS compares boxes (`postprocess.keep_spine`), and the box of a long spine, curved as it is,
holds half the body.
"""

import cc3d
import numpy as np
from scipy import ndimage

BLOCK_MM = 3.0
"""Distances are measured between blocks of voxels of at most this size."""
SPINE_SHARE = 0.1
"""A part at least this large, compared with the largest, is spine too, however far away."""


def delete_islands(labels: np.ndarray, spacing_mm: np.ndarray, gap_mm: float) -> None:
    """Delete what lies more than `gap_mm` away from all parts of the spine, in place.

    Parameters
    ----------
    labels
        Semantic labels.
    spacing_mm
        Voxel size along its axes.
    gap_mm
        Components nearer to each other than this belong together.
    """
    if not labels.any():
        return
    block = np.maximum(BLOCK_MM // np.asarray(spacing_mm), 1).astype(int)
    groups = _groups(_blocks(labels != 0, block), spacing_mm * block, gap_mm)
    for axis, size in enumerate(block):
        groups = groups.repeat(size, axis)
    groups = groups[tuple(slice(n) for n in labels.shape)]
    sizes = np.bincount(groups[labels != 0])
    labels[~(sizes >= SPINE_SHARE * sizes.max())[groups]] = 0


def _blocks(mask: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Say which blocks of voxels hold anything."""
    for axis, size in enumerate(block):
        mask = np.logical_or.reduceat(mask, range(0, mask.shape[axis], size), axis=axis)
    return mask


def _groups(mask: np.ndarray, spacing_mm: np.ndarray, gap_mm: float) -> np.ndarray:
    """Number the components of `mask`; those that are near each other share a number."""
    # half the gap around every component: those that meet belong together
    pad = np.ceil(0.5 * gap_mm / spacing_mm).astype(int)
    padded = np.pad(mask, [(n, n) for n in pad])
    reached = ndimage.distance_transform_edt(~padded, spacing_mm) <= 0.5 * gap_mm
    groups = cc3d.connected_components(reached, connectivity=26, binary_image=True)
    return groups[tuple(slice(n, n + size) for n, size in zip(pad, mask.shape, strict=True))]
