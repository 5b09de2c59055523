"""Lengths along the spine's curve, sums of heights, and offsets in the scanner frame."""

from collections.abc import Sequence

import numpy as np

from columna.measure.anatomy.body import Body, Line
from columna.measure.anatomy.corners import sacral_corner
from columna.measure.anatomy.endplate_ends import S1, EndName, Ends
from columna.measure.anatomy.regional import lumbar_chain, total
from columna.measure.anatomy.visibility import weakest
from columna.tables.finish import Measured, MeasuredValue, Missing
from columna.tables.schema import Row

LENGTHS: dict[str, tuple[EndName, EndName]] = {
    "c2_s1": (("C2", "inferior"), (S1, "superior")),
    "c7_s1": (("C7", "superior"), (S1, "superior")),
    "t1_l5": (("T1", "superior"), ("L5", "inferior")),
    "l1_s1": (("L1", "superior"), (S1, "superior")),
}
LUMBAR = ("L1", "L2", "L3", "L4", "L5")


def curve_lengths(ends: Ends) -> Row:
    """Arc and chord of the curve between endplates; tortuosity."""
    row: Row = {}
    curve = ends.geometry.curve
    for stem, names in LENGTHS.items():
        pair = ends.pair(*names)
        if isinstance(pair, Missing):
            row[f"length_{stem}_mm"] = pair
        elif curve is None or curve.is_low_support:
            row[f"length_{stem}_mm"] = Missing("fit_failed")
        else:
            u = curve.nearest(np.array([line.point for line in pair.value]))
            points = curve.at(u)
            row[f"length_{stem}_mm"] = Measured(float(np.diff(curve.arc_mm(u))[0]), pair.code)
            row[f"chord_{stem}_mm"] = float(np.linalg.norm(points[1] - points[0]))
    return row


def composition(vertebrae: Sequence[Row], discs: Sequence[Row]) -> Row:
    """Sums of the heights of lumbar bodies and of the spaces between them."""
    by_name = {r["vertebra"]: r for r in vertebrae}
    lumbar = [by_name[name] for name in LUMBAR]
    row: Row = {"sum_body_height_l1_l5_mm": total(lumbar, "height_mean_mm", "heights_status")}
    chain = lumbar_chain(vertebrae, discs)
    if chain is None:
        lack = Missing("neighbour_missing")
        return row | {"sum_gap_l1_s1_mm": lack, "disc_fraction_lumbar_ratio": lack}
    heights = total(chain[0], "height_mean_mm", "heights_status")
    gaps = total(chain[1], "gap_mean_mm", "gap_status")
    return row | {"sum_gap_l1_s1_mm": gaps, "disc_fraction_lumbar_ratio": _share(gaps, heights)}


def _share(part: MeasuredValue, rest: MeasuredValue) -> MeasuredValue:
    """Share of a part in the sum of both, or why one of them is missing."""
    if isinstance(part, Missing):
        return part
    if isinstance(rest, Missing):
        return rest
    return Measured(part.value / (part.value + rest.value), weakest(part.code, rest.code))


def sagittal_offsets(ends: Ends) -> Row:
    """Offsets along the scanner's anterior axis between centroids and posterior corners."""
    geometry = ends.geometry
    bodies = {b.level: b for b in geometry.bodies if b.level and b.has_middle}
    c2, c7, sacral = bodies.get("C2"), bodies.get("C7"), geometry.sacral
    c7_corner = None if c7 is None else c7.corner("superior", "posterior")
    s1_corner = None if sacral is None else sacral_corner(sacral, geometry.sacrum, "posterior")
    c7_end = ("C7", "superior")
    return {
        "sagittal_offset_c2_c7_mm": _offset(c2, c7_corner, ends.pair(("C2", "inferior"), c7_end)),
        "sagittal_offset_c7_s1_mm": _offset(c7, s1_corner, ends.pair(c7_end, (S1, "superior"))),
    }


def _offset(
    upper: Body | None,
    corner: np.ndarray | None,
    between: Measured[tuple[Line, Line]] | Missing,
) -> MeasuredValue:
    if isinstance(between, Missing):
        return between
    if upper is None or corner is None:
        return Missing("fit_failed")  # the wall beside the endplate
    return Measured(float((upper.crop.centroid_mm - corner)[1]), between.code)
