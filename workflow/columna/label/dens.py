"""C2 is recognised by its dens."""

import numpy as np

from columna.anatomy import Semantic
from columna.label.components import INFERIOR
from columna.label.seen_spine import SeenSpine

MIN_EXTENT = 1.4
"""C2 with its dens is this much higher than the bodies below it."""
MAX_AREA = 0.7
"""Cross-section of the upper third of C2 against that of its lower third."""
MAX_TIP_GAP_MM = 6.0
"""A tip of the dens that is segmented apart lies within this of the rest of C2."""
MAX_TIP_RATIO = 0.35
"""And its body is smaller than this times that of C2."""
MAX_TIP_BARE = 1.5
"""It has no processes, but a voxel or two of those of a neighbour."""
EDGE_MM = 2.0
"""A body nearer to the upper image edge than this is cut."""


def has_dens(spine: SeenSpine, place: int) -> float:
    """Whether a body carries a dens: 1, 0, or NaN where the image cuts it above.

    Either the mask says so, or a small piece lies right above it, or it is much higher than those
    below and much narrower in its upper third than in its lower third. (Two bodies run together
    are high, too, but as wide above as below.)

    Parameters
    ----------
    spine
        The spine.
    place
        Index into `SeenSpine.levels`.
    """
    body = spine.levels[place]
    if spine.edges_mm(body)[INFERIOR][0] < EDGE_MM:
        return np.nan
    box = spine.body_box(body)
    mask = spine.bodies[box] == body
    if (spine.semantic[box][mask] == Semantic.DENS).any():
        return 1.0
    if place == len(spine.levels) - 1:
        return 0.0
    shape = _extent_ratio(spine, place) >= MIN_EXTENT and _narrowing(mask) <= MAX_AREA
    return float(shape or _has_loose_tip(spine, place))


def _has_loose_tip(spine: SeenSpine, place: int) -> bool:
    """Whether a small bare piece of bone lies right above a body: a dens that broke off."""
    if place == 0:
        return False
    body, tip = spine.levels[place], spine.levels[place - 1]
    rows = spine.body_box(body)[INFERIOR].start - spine.body_box(tip)[INFERIOR].stop
    above, voxels = rows * spine.spacing_mm[INFERIOR], spine.body_voxels
    is_small = voxels[tip] < MAX_TIP_RATIO * voxels[body]
    is_bare = np.count_nonzero(spine.instance == tip) <= MAX_TIP_BARE * voxels[tip]
    is_whole = spine.edges_mm(tip)[INFERIOR][0] >= EDGE_MM
    return bool(is_small and is_bare and is_whole and above <= MAX_TIP_GAP_MM)


def _extent_ratio(spine: SeenSpine, place: int) -> float:
    """Height of a body against the median of up to three bodies below."""
    extents = [_extent(spine, body) for body in spine.levels[place : place + 4]]
    return extents[0] / float(np.median(extents[1:]))


def _extent(spine: SeenSpine, body: int) -> int:
    box = spine.body_box(body)
    return box[INFERIOR].stop - box[INFERIOR].start


def _narrowing(body: np.ndarray) -> float:
    """Mean cross-section of the upper third against that of the lower third."""
    areas = body.sum(axis=(0, 2))
    third = max(len(areas) // 3, 1)
    return float(areas[:third].mean() / areas[-third:].mean())
