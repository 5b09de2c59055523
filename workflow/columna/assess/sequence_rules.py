"""Rules about the sequence of vertebrae: gaps, repetitions, order, distances."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from columna.anatomy import L5, L6, SACRUM, T12, T13, levels
from columna.assess.finding import Finding, found
from columna.assess.quality_context import MeasuredRow, QualityContext, centroid_mm
from columna.tables.vertebrae import MEASURED

OPTIONAL = (T12, T13, L5, L6)
"""Levels that may be missing in a spine of unusual counts (11 or 13 thoracic, 4 or 6 lumbar)."""
ROOM_PITCHES = 0.6
"""A vertebra is expected where its centre is this many steps away from the upper or lower edge."""
ROOM_MM = 8.0
"""And this far from the anterior and posterior edge."""


def order_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the sequence of vertebrae."""
    rows = context.vertebrae
    if not rows:
        for rule_id in ("levels_contiguous", "duplicate_labels", "order_monotone"):
            yield found(rule_id, None, "not_segmented")
        yield found("label_shift_suspect", None, "not_segmented")
        yield found("coverage_expected", None, "not_segmented")
        return
    named = sorted((r for r in rows if r["level"]), key=lambda row: row["level_order"])
    if named:
        repeated = Counter(row["level"] for row in named).values()
        yield found("levels_contiguous", _gaps(named, context.scan_row["has_sacrum"]))
        yield found("duplicate_labels", sum(n > 1 for n in repeated))
        yield found("order_monotone", _inversions(named))
    else:
        for rule_id in ("levels_contiguous", "duplicate_labels", "order_monotone"):
            yield found(rule_id, None, "no_anchor")
    yield _confidence(named)
    yield _coverage(context)
    yield from _spacing(rows)


def _gaps(named: list[MeasuredRow], has_sacrum: bool) -> int:
    """Places where a level that every spine has is skipped."""
    chain = list(levels())
    places = sorted({chain.index(_label(row)) for row in named})
    if has_sacrum:
        places.append(chain.index(SACRUM))
    skipped = (set(chain[a + 1 : b]) for a, b in pairwise(places))
    return sum(bool(between - set(OPTIONAL)) for between in skipped)


def _label(row: MeasuredRow) -> int:
    return next(label for label, level in levels().items() if level.name == row["level"])


def _inversions(named: list[MeasuredRow]) -> int:
    """Vertebrae that lie above the one that anatomy puts above them."""
    return sum(a["index_from_top"] > b["index_from_top"] for a, b in pairwise(named))


def _confidence(named: list[MeasuredRow]) -> Finding:
    known = [row["level_p_ratio"] for row in named]
    known = [value for value in known if value is not None]
    if known:
        return found("label_shift_suspect", min(known))
    return found("label_shift_suspect", None, "not_applicable" if named else "no_anchor")


def _coverage(context: QualityContext) -> Finding:
    """Go on with the steps of the two topmost and the two lowest bodies."""
    bodies = context.bodies
    if len(bodies) < 2:
        return found("coverage_expected", None, "neighbour_missing")
    missing = _expected(context, bodies[1], bodies[0], _levels_above(bodies[0]))
    if not context.scan_row["has_sacrum"]:
        missing += _expected(context, bodies[-2], bodies[-1], _levels_below(bodies[-1]))
    return found("coverage_expected", missing)


def _expected(context: QualityContext, before: MeasuredRow, last: MeasuredRow, most: int) -> int:
    """How many bodies after `last` have their place inside the field of view, at most `most`."""
    place = centroid_mm(last)
    step = place - centroid_mm(before)
    grid, fov = context.upright_image, context.fov
    to_index = np.linalg.inv(grid.affine)
    room_mm = np.array([ROOM_MM, ROOM_PITCHES * np.linalg.norm(step), 0.0])
    low = fov.start - 0.5 + room_mm / grid.spacing_mm
    high = fov.stop - 0.5 - room_mm / grid.spacing_mm
    for count in range(most):
        place = place + step
        index = to_index[:3, :3] @ place + to_index[:3, 3]
        if ((index < low) | (index > high)).any():
            return count
    return most


def _levels_above(row: MeasuredRow) -> int:
    """Levels with a body that every spine has above `row`; many where it has no name."""
    usual = [n for n in levels() if n not in (T13, L6)]
    if row["level"] is None:
        return len(usual)
    return sum(levels()[n].level_order < row["level_order"] for n in usual) - 1  # C1 has no body


def _levels_below(row: MeasuredRow) -> int:
    usual = [n for n in levels() if n not in (T13, L6)]
    if row["level"] is None:
        return len(usual)
    return sum(levels()[n].level_order > row["level_order"] for n in usual)


def _spacing(rows: list[MeasuredRow]) -> Iterator[Finding]:
    """Distance of every body to the next one against the distances around."""
    centres = [None if r["centroid_s_mm"] is None else centroid_mm(r) for r in rows]
    is_whole = [row["presence"] in MEASURED for row in rows]
    steps = [
        float(np.linalg.norm(a - b)) if a is not None and b is not None and ok else None
        for (a, b), ok in zip(
            pairwise(centres), (x and y for x, y in pairwise(is_whole)), strict=True
        )
    ]
    for place, row in enumerate(rows):
        item = row["vertebra"]
        if row["level"] in ("C1", "C2"):
            yield found("spacing_smooth", None, "not_applicable", item)
            continue
        step = steps[place] if place < len(steps) else None
        around = [*steps[max(place - 2, 0) : place], *steps[place + 1 : place + 3]]
        known = [distance for distance in around if distance is not None]
        if step is None or len(known) < 2:
            yield found("spacing_smooth", None, "neighbour_missing", item)
        else:
            yield found("spacing_smooth", step / float(np.median(known)), item=item)
