"""Regional sagittal angles, and the largest lordotic arc (docs/measures.md#g12)."""

from collections.abc import Sequence

import numpy as np

from columna.measure.anatomy.angles import elevation_deg, sagittal_axes
from columna.measure.anatomy.body import Body
from columna.measure.anatomy.endplate_ends import ORDER, S1, EndName, Ends, lordosis_deg
from columna.measure.anatomy.visibility import weakest
from columna.tables.finish import Measured, MeasuredValue, Missing
from columna.tables.schema import Row

LORDOSIS = "lumbar_lordosis_l1_s1_deg"
LORDOSES: dict[str, tuple[EndName, EndName]] = {
    "cervical_lordosis": (("C2", "inferior"), ("C7", "inferior")),
    "lumbar_lordosis_l1_s1": (("L1", "superior"), (S1, "superior")),
    "lumbar_lordosis_l1_l5": (("L1", "superior"), ("L5", "inferior")),
    "lordosis_l4_s1": (("L4", "superior"), (S1, "superior")),
}
KYPHOSES: dict[str, tuple[EndName, EndName]] = {
    "thoracic_kyphosis_t4_t12": (("T4", "superior"), ("T12", "inferior")),
    "thoracic_kyphosis_t1_t12": (("T1", "superior"), ("T12", "inferior")),
    "thoracic_kyphosis_t5_t12": (("T5", "superior"), ("T12", "inferior")),
    "thoracolumbar_t10_l2": (("T10", "superior"), ("L2", "inferior")),
}
SLOPES: dict[str, EndName] = {
    "t1_slope_scanner": ("T1", "superior"),
    "sacral_slope_scanner": (S1, "superior"),
}
ARC_FROM = "T8"
_APEX_LEVELS = tuple(f"T{n}" for n in range(4, 13))
LEAST_VERTEBRAE = 3
LEAST_LORDOSIS_DEG = 15.0


def regional_angles(ends: Ends) -> Row:
    """Angles between named levels; a missing end is never replaced by its neighbour."""
    angles: dict[str, MeasuredValue] = {
        f"{stem}_deg": _between(sign, upper, lower, ends)
        for sign, pairs in ((1.0, LORDOSES), (-1.0, KYPHOSES))
        for stem, (upper, lower) in pairs.items()
    } | {f"{stem}_deg": _slope(level, side, ends) for stem, (level, side) in SLOPES.items()}
    codes = [angle.code for angle in angles.values() if isinstance(angle, Measured)]
    lordosis = angles[LORDOSIS]
    return {
        **angles,
        "angles_status": weakest(*codes) if codes else lordosis.code,
        "lordosis_distribution_ratio": _distribution(lordosis, angles["lordosis_l4_s1_deg"]),
    }


def _distribution(whole: MeasuredValue, lower: MeasuredValue) -> float | Missing:
    """Share of the lordosis below L4, of a spine that is lordotic at all."""
    if isinstance(whole, Missing):
        return whole
    if isinstance(lower, Missing):
        return lower
    is_lordotic = abs(whole.value) >= LEAST_LORDOSIS_DEG
    return lower.value / whole.value if is_lordotic else Missing("not_applicable")


def closure(angles: Row, vertebrae: Sequence[Row], discs: Sequence[Row]) -> float | Missing:
    """L1-S1 lordosis of `angles` minus (sum of disc angles minus sum of wedge angles)."""
    lordosis = angles[LORDOSIS]
    if isinstance(lordosis, Missing):
        return lordosis
    chain = lumbar_chain(vertebrae, discs)
    if chain is None:
        return Missing("neighbour_missing")
    wedges = total(chain[0], "wedge_angle_deg", "heights_status")
    discs_sum = total(chain[1], "disc_angle_deg", "angle_status")
    if isinstance(wedges, Missing):
        return wedges
    if isinstance(discs_sum, Missing):
        return discs_sum
    return lordosis.value - (discs_sum.value - wedges.value)


def total(rows: Sequence[Row], column: str, status: str) -> MeasuredValue:
    """Sum of a column, or the status of the first row that has no value in it."""
    lack = next((row for row in rows if row[column] is None), None)
    if lack is not None:
        return Missing(lack[status])
    return Measured(sum(row[column] for row in rows), weakest(*(row[status] for row in rows)))


def lumbar_chain(
    vertebrae: Sequence[Row], discs: Sequence[Row]
) -> tuple[list[Row], list[Row]] | None:
    """Rows of the vertebrae L1 to the last above S1, and of the spaces below them; None if cut."""
    by_name = {row["vertebra"]: row for row in vertebrae}
    below = {row["level_upper"]: row for row in discs if row["index_from_top"]}
    bodies: list[Row] = []
    spaces: list[Row] = []
    level = "L1"
    while level != S1:
        space = below.get(level)
        if space is None or space["level_lower"] is None or len(spaces) > len(ORDER):
            return None
        bodies.append(by_name[space["vertebra_upper"]])
        spaces.append(space)
        level = space["level_lower"]
    return bodies, spaces


def largest_arc(ends: Ends) -> Row:
    """Largest lordosis between any two endplates from T8 down, and its apex."""
    bodies = [b for b in ends.with_middle if ORDER[b.name] >= ORDER[ARC_FROM]]
    if len(bodies) < LEAST_VERTEBRAE:
        return {"arc_status": _arc_failure(ends)}
    right = ends.right(bodies[0].name, bodies[-1].name)
    upper = [(b, line) for b in bodies if (line := b.plate("superior")) is not None]
    lower = [(b.name, line) for b in bodies if (line := b.plate("inferior")) is not None]
    sacral = ends.find(S1, "superior")
    if isinstance(sacral, Measured):
        lower.append((S1, sacral.value))
    arcs = [
        (lordosis_deg(top, bottom, right), b.name, level, (top.point, bottom.point))
        for b, top in upper
        for level, bottom in lower
        if ORDER[level] > ORDER[b.name]
    ]
    angle, first, last, chord = max(arcs, key=lambda arc: arc[0])
    inside = [b for b in bodies if ORDER[first] <= ORDER[b.name] <= ORDER[last]]
    return {
        "arc_status": weakest(*(body.fit_status for body in inside)),
        "max_lordosis_deg": angle,
        "max_lordosis_upper": first,
        "max_lordosis_lower": last,
        "apex_lumbar": _farthest(inside, chord, sagittal_axes(right)[0]).level,
    }


def thoracic_apex(ends: Ends) -> str | Missing:
    """Vertebra of T1 to T12 farthest behind the chord of those; only if all from T4 are ok."""
    chest = [b for b in ends.with_middle if b.region == "thoracic" and b.level != "T13"]
    known = {b.level for b in chest}
    lack = next((level for level in _APEX_LEVELS if level not in known), None)
    if lack is not None:
        return Missing(ends.failure(lack))
    chord = chest[0].crop.centroid_mm, chest[-1].crop.centroid_mm
    behind = -sagittal_axes(ends.right(chest[0].name, chest[-1].name))[0]
    return _farthest(chest, chord, behind).name


def _between(sign: float, upper: EndName, lower: EndName, ends: Ends) -> MeasuredValue:
    pair = ends.pair(upper, lower)
    if isinstance(pair, Missing):
        return pair
    angle = lordosis_deg(*pair.value, ends.right(upper[0], lower[0]))
    return Measured(sign * angle, pair.code)


def _slope(level: str, side: str, ends: Ends) -> MeasuredValue:
    end = ends.find(level, side)
    if isinstance(end, Missing):
        return end
    right = ends.right("L1", S1) if level == S1 else ends.right("C7", "T3")
    return Measured(-elevation_deg(end.value.direction, right), end.code)


def _arc_failure(ends: Ends) -> str:
    below = [b for b in ends.geometry.bodies if not b.level or ORDER[b.level] >= ORDER[ARC_FROM]]
    return ends.few_failure(below, ends.with_middle, LEAST_VERTEBRAE)


def _farthest(
    bodies: Sequence[Body], chord: tuple[np.ndarray, np.ndarray], towards: np.ndarray
) -> Body:
    """Body whose centroid lies farthest from a chord in the direction `towards`."""
    along = chord[1] - chord[0]
    across = towards - (towards @ along) / (along @ along) * along
    return max(bodies, key=lambda b: float((b.crop.centroid_mm - chord[0]) @ across))
