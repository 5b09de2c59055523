"""Cleaning of the phase-1 mask, in the order of SPINEPS (docs/method.md#cleaning).

Small components are deleted, components away from the spine are deleted, holes are filled.
"""

import logging

import cc3d
import fill_voids
import numpy as np
from scipy.ndimage import find_objects

from columna.anatomy import POSTERIOR_ELEMENTS, Semantic
from columna.errors import ScanRefused
from columna.images.volume import Volume, bounding_box
from columna.semantic.islands import delete_islands, delete_stray_sacrum

SMALL_MM3 = 27.84375
"""Components below this are deleted: 30 reference voxels of 0.75 x 0.75 x 1.65 mm."""
BOX_MARGIN_MM = 3.0
"""Components whose boxes, grown by this much, meet the spine's boxes belong to the spine."""
MANY_COMPONENTS = 3
"""More separate components than this are worth a line in the log."""

_DUSTED = (
    *POSTERIOR_ELEMENTS,
    Semantic.VERTEBRAL_BODY,
    Semantic.SPINAL_CANAL,
    Semantic.DISC,
)
_FILLED = (
    Semantic.VERTEBRAL_BODY,
    Semantic.SPINAL_CANAL,
    Semantic.DISC,
    Semantic.SPINAL_CORD,
)
_HEIGHT = 1

_log = logging.getLogger(__name__)


def clean_semantic(mask: Volume, max_gap_mm: float | None = None) -> Volume:
    """Clean a phase-1 mask.

    Parameters
    ----------
    mask
        Semantic labels along P, I, R.
    max_gap_mm
        Structures farther than this from the rest of the spine are deleted too, and sacrum that
        does not go on where the bodies end; None: only what SPINEPS deletes.

    Returns
    -------
    Volume
        Cleaned labels on the same grid; `mask` is not changed.

    Raises
    ------
    ScanRefused
        With the code ``no_spine`` if nothing is left.
    """
    box = bounding_box(mask.array)
    if box is None:
        raise ScanRefused("no_spine", "The network found no spine in this scan.")
    labels = mask.array[box].copy()
    spacing_mm = mask.spacing_mm
    delete_small_components(labels, mask.voxel_volume_mm3)
    if not labels.any():
        raise ScanRefused("no_spine", "The network found only specks, too small for a spine.")
    keep_spine(labels, spacing_mm)
    if max_gap_mm is not None:
        delete_stray_sacrum(labels, spacing_mm, max_gap_mm)
        delete_islands(labels, spacing_mm, max_gap_mm)
    fill_holes(labels)
    cleaned = np.zeros_like(mask.array)
    cleaned[box] = labels
    return mask.with_array(cleaned)


def delete_small_components(labels: np.ndarray, voxel_mm3: float) -> None:
    """Delete specks (6-connected, below `SMALL_MM3`) of bones, discs and canal, in place.

    Sacrum, cord and endplates are left alone. `voxel_mm3` is the volume of a voxel, which in a
    sheared grid is not the product of the spacings.
    """
    threshold = max(round(SMALL_MM3 / voxel_mm3), 1)
    candidates = np.where(np.isin(labels, _DUSTED), labels, 0)
    kept = cc3d.dust(candidates, threshold=threshold, connectivity=6)
    labels[kept != candidates] = 0


def keep_spine(labels: np.ndarray, spacing_mm: np.ndarray) -> None:
    """Delete components (26-connected, whatever their label) away from the spine, in place.

    The spine is the largest component and, repeatedly, every component whose box comes near one
    of its boxes: boxes are grown by `BOX_MARGIN_MM` and must meet along all axes, and along the
    height the boxes of the spine are grown once more.
    """
    components, n = cc3d.connected_components(
        labels != 0, connectivity=26, binary_image=True, return_N=True
    )
    if n > MANY_COMPONENTS:
        _log.info("%d separate components in the semantic mask", n)
    if n < 2:
        return
    sizes = np.bincount(components.ravel(), minlength=n + 1)[1:]
    boxes = np.array([[(s.start, s.stop) for s in box] for box in find_objects(components)])
    reach = np.maximum(np.round(BOX_MARGIN_MM / np.asarray(spacing_mm)), 1).astype(int)
    extra = round(BOX_MARGIN_MM / float(np.min(spacing_mm)))
    accepted = _near_largest(sizes, *_grown(boxes, labels.shape, reach, extra))
    labels[~np.concatenate([[False], accepted])[components]] = 0


def _grown(
    boxes: np.ndarray, shape: tuple[int, ...], reach: np.ndarray, extra: int
) -> tuple[np.ndarray, np.ndarray]:
    """Grow boxes, shape (n, 3, 2), and grow them once more along the height."""
    start = np.maximum(boxes[:, :, 0] - reach, 0)
    stop = np.minimum(boxes[:, :, 1] + reach, shape)
    grown = np.stack([start, stop], axis=2)
    higher = grown.copy()
    higher[:, _HEIGHT] += (-extra, extra)
    return grown, higher


def _near_largest(sizes: np.ndarray, grown: np.ndarray, higher: np.ndarray) -> np.ndarray:
    """Say which boxes chain up to the one of the largest component; borders count as inside."""
    accepted = np.zeros(len(sizes), bool)
    frontier = [int(np.argmax(sizes))]
    while frontier:
        accepted[frontier] = True
        reached = np.zeros_like(accepted)
        for index in frontier:
            spine = higher[index]
            meets = (grown[:, :, 0] <= spine[:, 1]) & (grown[:, :, 1] >= spine[:, 0])
            reached |= meets.all(axis=1)
        frontier = list(np.flatnonzero(reached & ~accepted))
    return accepted


def fill_holes(labels: np.ndarray) -> None:
    """Fill background that bodies, canal, discs or cord enclose, in this order, in place."""
    boxes = find_objects(labels)
    for label in _FILLED:
        box = boxes[label - 1] if label <= len(boxes) else None
        if box is None:
            continue
        part = labels[box]
        filled = fill_voids.fill(part == label)
        part[filled & (part == 0)] = label
