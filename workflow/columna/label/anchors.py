"""The two landmarks that levels can be counted from: the sacrum and C2."""

from dataclasses import dataclass

import cc3d
import edt
import numpy as np

from columna.anatomy import Semantic
from columna.images.volume import bounding_box
from columna.label.components import INFERIOR
from columna.label.seen_spine import SeenSpine

MIN_SACRUM_MM3 = 2000.0
"""A smaller sacrum is noise, or cut so far that it proves nothing."""
MAX_SACRUM_GAP_MM = 25.0
"""From the lowest body to the sacrum there is one disc; a missed L5 leaves at least 35 mm."""
MIN_DENS_EXTENT = 1.4
"""C2 with its dens is this much higher than the bodies below it."""
MIN_DISC_MM3 = 200.0
"""No disc of an adult is smaller (morphometrics 5.5); what is, is an island of the label."""
MAX_TIP_GAP_MM = 6.0
"""A tip of the dens that is segmented apart lies within this of the rest of C2."""
MAX_DENS_AREA = 0.7
"""Cross-section of the upper third of C2 against that of its lower third."""


@dataclass(frozen=True)
class SacrumEvidence:
    """What speaks for or against counting from the sacrum."""

    volume_mm3: float
    gap_mm: float | None
    is_anchor: bool


def look_for_sacrum(spine: SeenSpine) -> SacrumEvidence:
    """Decide whether the lowest vertebra stands on a sacrum.

    The sacrum must be large enough, lie lower than the lowest vertebra, and come within
    `MAX_SACRUM_GAP_MM` of its body.
    """
    sacrum = spine.semantic == Semantic.SACRUM
    box = bounding_box(sacrum)
    if box is not None:
        # islands elsewhere must not move the height of the sacrum
        sacrum[box] = cc3d.largest_k(sacrum[box], k=1, connectivity=26) > 0
    volume = float(np.count_nonzero(sacrum) * np.prod(spine.spacing_mm))
    if volume < MIN_SACRUM_MM3 or not spine.levels:
        return SacrumEvidence(round(volume, 1), None, False)
    lowest = spine.bodies == spine.levels[-1]
    is_below = _height(sacrum) > spine.centres[spine.levels[-1], INFERIOR]
    gap = _distance_mm(lowest, sacrum, spine.spacing_mm)
    return SacrumEvidence(
        round(volume, 1), round(gap, 1), bool(is_below and gap <= MAX_SACRUM_GAP_MM)
    )


def is_c2(spine: SeenSpine) -> bool:
    """Decide whether the topmost vertebra is C2.

    It is, if it is not cut by the upper image edge, no disc lies above it, and its body carries
    a dens: either the mask says so, or the body is much higher than those below and much
    narrower in its upper third than in its lower third. (Two bodies run together are high, too,
    but as wide above as below.)
    """
    if len(spine.levels) < 2:
        return False
    top = spine.levels[0]
    box = spine.body_box(top)
    if spine.is_cut_above(top):
        return False
    if _has_disc_above(spine, top):
        return False
    body = spine.bodies[box] == top
    if (spine.semantic[box][body] == Semantic.DENS).any() or _has_loose_tip(spine, top):
        return True
    return _extent_ratio(spine) >= MIN_DENS_EXTENT and _narrowing(body) <= MAX_DENS_AREA


def _has_disc_above(spine: SeenSpine, top: int) -> bool:
    """Whether a disc, not an island of its label, lies higher than the topmost body."""
    spaces = spine.spaces
    is_disc = spaces.owner == Semantic.DISC
    is_higher = spaces.centres[:, INFERIOR] < spine.centres[top, INFERIOR]
    largest = spaces.voxels[is_disc & is_higher].max(initial=0)
    return bool(largest * np.prod(spine.spacing_mm) >= MIN_DISC_MM3)


def _has_loose_tip(spine: SeenSpine, top: int) -> bool:
    """Whether a bare piece of bone lies right above the topmost body: a dens that broke off."""
    first_row = spine.body_box(top)[INFERIOR].start
    for piece in spine.fragments:
        above = (first_row - spine.body_box(piece)[INFERIOR].stop) * spine.spacing_mm[INFERIOR]
        is_higher = spine.centres[piece, INFERIOR] < spine.centres[top, INFERIOR]
        if is_higher and above <= MAX_TIP_GAP_MM:
            return True
    return False


def _extent_ratio(spine: SeenSpine) -> float:
    """Height of the topmost body against the median of up to three bodies below."""
    extents = [_extent(spine.body_box(level)) for level in spine.levels[:4]]
    return extents[0] / float(np.median(extents[1:]))


def _extent(box: tuple[slice, ...]) -> int:
    return box[INFERIOR].stop - box[INFERIOR].start


def _narrowing(body: np.ndarray) -> float:
    """Mean cross-section of the upper third against that of the lower third."""
    areas = body.sum(axis=(0, 2))
    third = max(len(areas) // 3, 1)
    return float(areas[:third].mean() / areas[-third:].mean())


def _height(mask: np.ndarray) -> float:
    rows = mask.sum(axis=(0, 2))
    return float(np.average(np.arange(len(rows)), weights=rows))


def _distance_mm(first: np.ndarray, second: np.ndarray, spacing_mm: np.ndarray) -> float:
    """Shortest distance between voxel centres of two masks."""
    box = bounding_box(first | second)
    away = edt.edt(np.ascontiguousarray(~second[box]), anisotropy=tuple(spacing_mm))
    return float(away[first[box]].min())
