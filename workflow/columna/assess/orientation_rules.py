"""Rules about how the patient lies in the image: the spine upright, the back behind, the head up.

A wrong affine turns a scan upside down or back to front without a word. Networks have seen upright
spines only, and paint what they expect: on a scan that is turned they still put the canal behind
the bodies, and superior processes above inferior ones. The rules look at what they cannot invent:
how much canal and arches they find, and how bodies, pedicles and cord change from end to end.
"""

from collections.abc import Iterator

import numpy as np

from columna.anatomy import POSTERIOR_ELEMENTS
from columna.assess.finding import Finding, found
from columna.assess.head import Piece, head_signs, pieces_of
from columna.assess.quality_context import QualityContext

SECTION_MM2 = 60.0
"""Horizontal section that is enough for a canal, or for arches and processes."""
SLICES_MM = 10.0
"""Where the slices cover less than this, so much less is enough."""
CANAL_MM = 5.0
"""How far the centre of the canal lies behind that of the bodies, at least."""
ARCHES_MM = 15.0
"""The same for arches and processes."""
MIN_WEIGHT = 2.0
"""Weight of signs that is enough for an answer: a crop of two vertebrae may show hardly any."""


def orientation_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the patient's orientation."""
    crop = context.crop
    pieces = pieces_of(crop)
    arches = np.isin(crop.semantic, POSTERIOR_ELEMENTS)
    yield _spine_axis(pieces)
    yield _behind("canal_behind_bodies", context, crop.is_canal, CANAL_MM)
    yield _behind("arches_behind_bodies", context, arches, ARCHES_MM)
    yield _head_up(context, pieces)


def _spine_axis(pieces: list[Piece]) -> Finding:
    """Angle between the line that fits the centres of the bodies best and the axis I."""
    if len(pieces) < 2:
        return found("spine_axis", None, "neighbour_missing" if pieces else "not_segmented")
    centres = np.array([piece.centre_mm for piece in pieces])
    _, _, axes = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)
    return found("spine_axis", np.degrees(np.arccos(min(abs(axes[0, 1]), 1.0))))


def _behind(rule_id: str, context: QualityContext, mask: np.ndarray, least_mm: float) -> Finding:
    """How much of what lies behind bodies is there, as mean over the rows of voxels with a body.

    A row counts 1 where a horizontal section of `SECTION_MM2` or more lies `least_mm` or more
    behind the body, less in proportion where the section is smaller.
    """
    crop = context.crop
    bodies_n, body_place = _rows(crop.is_body)
    if not bodies_n.any() or not mask.any():
        return found(rule_id, None, "not_segmented")
    counts, place = _rows(mask)
    depth_mm, _, width_mm = crop.spacing_mm
    covered_mm = float((context.fov.stop - context.fov.start)[2] * width_mm)
    enough_n = SECTION_MM2 * min(covered_mm / SLICES_MM, 1) / (depth_mm * width_mm)
    is_behind = (place - body_place) * depth_mm > least_mm
    return found(rule_id, (is_behind * np.minimum(counts / enough_n, 1))[bodies_n > 0].mean())


def _rows(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, and their mean place along P, of every row along I; shapes (I,)."""
    lines = mask.sum(axis=2)
    counts = lines.sum(axis=0)
    return counts, np.arange(len(lines)) @ lines / np.maximum(counts, 1)


def _head_up(context: QualityContext, pieces: list[Piece]) -> Finding:
    """Weighted mean of all signs that the masks show."""
    signs = head_signs(context.crop, pieces)
    if sum(sign.weight for sign in signs) < MIN_WEIGHT:
        return found("head_up", None, "neighbour_missing" if pieces else "not_segmented")
    mean = np.average([s.value for s in signs], weights=[s.weight for s in signs])
    return found("head_up", float(mean))
