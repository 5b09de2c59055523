"""Discs, endplates and a canal for masks that hold bones only, as those of CT do."""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, Semantic

REACH_VOXELS = 15
"""Bodies closer than this along the spine have a disc between them."""
LEAST_AREA = 60
"""Smaller holes in an axial slice of bone are no vertebral foramen, voxels."""
SAC = 0.82
"""Radii of the dural sac relative to those of the foramen."""


def complete(semantic: np.ndarray, instance: np.ndarray) -> None:
    """Add what is missing, along P, I, R (in place).

    Parameters
    ----------
    semantic, instance
        uint8; bones only.
    """
    _add_canal(semantic)
    _add_discs(semantic, instance)


def _add_discs(semantic: np.ndarray, instance: np.ndarray) -> None:
    """Close the gaps between bodies; the outer voxels of a gap are endplates."""
    body = semantic == Semantic.VERTEBRAL_BODY
    labels = [int(n) for n in np.unique(instance[body]) if n]
    for upper, lower in pairwise(labels):
        pair = body & np.isin(instance, (upper, lower))
        line = np.ones((1, REACH_VOXELS, 1), bool)
        padded = np.pad(pair, ((0, 0), (REACH_VOXELS, REACH_VOXELS), (0, 0)))
        closed = ndimage.binary_closing(padded, line)[:, REACH_VOXELS:-REACH_VOXELS]
        gap = closed & (semantic == 0)
        gap = ndimage.binary_opening(gap, np.ones((3, 1, 3), bool))
        plate = gap & ndimage.binary_dilation(pair, np.ones((1, 3, 1), bool))
        semantic[gap], instance[gap] = Semantic.DISC, DISC_OFFSET + upper
        semantic[plate], instance[plate] = Semantic.ENDPLATE, ENDPLATE_OFFSET + upper


def _add_canal(semantic: np.ndarray) -> None:
    """An elliptic sac through the vertebral foramina, between the levels that show one."""
    rows, centres, radii = [], [], []
    for row in range(semantic.shape[1]):
        bone = semantic[:, row] > 0
        parts, count = ndimage.label(ndimage.binary_fill_holes(bone) & ~bone)
        sizes = np.bincount(parts.ravel(), minlength=2)[1:]
        if count and sizes.max() >= LEAST_AREA and _is_behind(parts == 1 + sizes.argmax(), bone):
            points = np.argwhere(parts == 1 + sizes.argmax())
            rows.append(row)
            centres.append(points.mean(axis=0))
            # an ellipse has a variance of a quarter of its squared radius
            radii.append(2 * SAC * points.std(axis=0))
    if not rows:
        return
    index = np.arange(semantic.shape[1])

    def along(values: list[np.ndarray]) -> np.ndarray:
        curves = [np.interp(index, rows, column) for column in np.array(values).T]
        return np.stack([ndimage.gaussian_filter1d(c, 3, mode="nearest") for c in curves])

    (p, r), (deep, wide) = along(centres), along(radii)
    at_p = np.arange(semantic.shape[0])[:, None, None]
    at_r = np.arange(semantic.shape[2])[None, None, :]
    inside = ((at_p - p[:, None]) / deep[:, None]) ** 2 + ((at_r - r[:, None]) / wide[:, None]) ** 2
    semantic[(inside <= 1) & (semantic == 0)] = Semantic.SPINAL_CANAL


def _is_behind(hole: np.ndarray, bone: np.ndarray) -> bool:
    """Whether a hole lies behind the front third of the bone: gaps within bodies do not."""
    rows = np.flatnonzero(bone.any(axis=1))
    return np.argwhere(hole)[:, 0].mean() > rows[0] + (rows[-1] - rows[0]) * 0.35
