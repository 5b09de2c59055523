"""Deletion of structures far from the spine, by distance.

SPINEPS compares boxes (`postprocess.keep_spine`), and the box of a long spine, curved as it is,
holds half the body.
"""

import cc3d
import numpy as np
from scipy import ndimage

from columna.anatomy import Semantic

BLOCK_MM = 3.0
"""Distances are measured between blocks of voxels of at most this size."""
SACRUM_BESIDE_MM = 30.0
"""The middle of the sacrum lies at most this far beside the bodies: it leans back behind L5."""
SPINE_SHARE = 0.1
"""A part at least this large, compared with the largest, is spine too, however far away."""
BESIDE_SHARE = 0.5
"""But not if more of its height is beside the largest part: there is one spine only."""
COLUMN = (
    Semantic.VERTEBRAL_BODY,
    Semantic.DISC,
    Semantic.ENDPLATE,
    Semantic.SPINAL_CORD,
    Semantic.SPINAL_CANAL,
)


def delete_islands(labels: np.ndarray, spacing_mm: np.ndarray, gap_mm: float) -> None:
    """Delete what lies more than `gap_mm` away from all parts of the spine, in place.

    Parameters
    ----------
    labels
        Semantic labels along P, I, R.
    spacing_mm
        Voxel size along its axes.
    gap_mm
        Components nearer to each other than this belong together.
    """
    # the column alone first: processes may bridge the way to something that is no spine
    column = np.isin(labels, COLUMN)
    labels[column & ~_spine(column, spacing_mm, gap_mm, 0.0)] = 0
    everything = labels != 0
    labels[everything & ~_spine(everything, spacing_mm, gap_mm, SPINE_SHARE)] = 0


def _spine(part: np.ndarray, spacing_mm: np.ndarray, gap_mm: float, least: float) -> np.ndarray:
    """Voxels of the largest group, and of those that go on where it ends and are not too small."""
    if not part.any():
        return part
    block = _block_size(spacing_mm)
    coarse = _blocks(part, block)
    groups = np.where(coarse, _groups(coarse, spacing_mm * block, gap_mm), 0)
    in_voxels = _in_voxels(groups, block, part.shape)
    sizes = np.bincount(in_voxels[part])
    largest = int(sizes.argmax())
    stays = sizes >= least * sizes[largest]
    rows = {number: (groups == number).any(axis=(0, 2)) for number in np.flatnonzero(stays)}
    for number, own in rows.items():
        beside = np.count_nonzero(own & rows[largest])
        stays[number] &= number == largest or beside <= BESIDE_SHARE * np.count_nonzero(own)
    return np.asarray(stays[in_voxels])


def delete_stray_sacrum(labels: np.ndarray, spacing_mm: np.ndarray, gap_mm: float) -> None:
    """Keep the one sacrum that goes on where the bodies end, in place.

    A spine has one sacrum, at the end of its bodies. Networks that were trained on masks without a
    sacrum call other bright and dark things by that name. Both ends count, so that a patient who
    lies upside down in the file keeps the sacrum that tells so. In masks without bodies nothing can
    be said, and all stays.

    Parameters
    ----------
    labels
        Semantic labels along P, I, R.
    spacing_mm
        Voxel size along its axes.
    gap_mm
        The sacrum is at most this far from bodies and discs; pieces of it that are nearer to each
        other belong together.
    """
    sacrum = labels == Semantic.SACRUM
    bodies = labels == Semantic.VERTEBRAL_BODY
    if not sacrum.any() or not bodies.any():
        return
    block = _block_size(spacing_mm)
    step = spacing_mm * block
    coarse = _blocks(sacrum, block)
    groups = np.where(coarse, _groups(coarse, step, gap_mm), 0)
    spine = _blocks(np.isin(labels, (Semantic.VERTEBRAL_BODY, Semantic.DISC)), block)
    distance = ndimage.distance_transform_edt(~spine, step)
    rows = np.flatnonzero(bodies.any(axis=(0, 2)))
    first, last = rows[0] / block[1], rows[-1] / block[1]
    kept, largest = 0, 0
    for number in range(1, int(groups.max()) + 1):
        group = groups == number
        size = int(group.sum())
        if size <= largest or distance[group].min() > gap_mm:
            continue
        middle = float(np.flatnonzero(group.any(axis=(0, 2))).mean())
        overlap = SACRUM_BESIDE_MM / step[1]
        if middle < first + overlap or middle > last - overlap:
            kept, largest = number, size
    stays = groups == kept if kept else np.zeros_like(coarse)
    labels[sacrum & ~_in_voxels(stays, block, labels.shape)] = 0


def _block_size(spacing_mm: np.ndarray) -> np.ndarray:
    """Voxels of a block along each axis."""
    return np.maximum(BLOCK_MM // np.asarray(spacing_mm), 1).astype(int)


def _in_voxels(blocks: np.ndarray, size: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give every voxel of `shape` the value of its block."""
    for axis, count in enumerate(size):
        blocks = blocks.repeat(count, axis)
    return blocks[tuple(slice(n) for n in shape)]


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
