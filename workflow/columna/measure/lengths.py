"""Lengths along the spine's curve, sums of heights, and offsets in the scanner frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from columna.measure.corners import sacral_corner
from columna.measure.endplate_ends import S1, Ends
from columna.measure.regional import lumbar_chain

Row = dict[str, Any]
End = tuple[str, str]

LENGTHS: dict[str, tuple[End, End]] = {
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
    if curve is None or curve.is_low_support:
        return row
    for stem, pair in LENGTHS.items():
        lines = [ends.find(*end).line for end in pair]
        if None not in lines:
            u = curve.nearest(np.array([line.point for line in lines]))
            points = curve.at(u)
            row[f"length_{stem}_mm"] = float(np.diff(curve.arc_mm(u))[0])
            row[f"chord_{stem}_mm"] = float(np.linalg.norm(points[1] - points[0]))
    if "length_c7_s1_mm" in row:
        row["tortuosity_ratio"] = row["length_c7_s1_mm"] / row["chord_c7_s1_mm"]
    return row


def composition(vertebrae: Sequence[Row], discs: Sequence[Row]) -> Row:
    """Sums of the heights of lumbar bodies and of the spaces between them."""
    row: Row = {}
    by_name = {r["vertebra"]: r for r in vertebrae}
    heights = [by_name[name]["height_mean_mm"] if name in by_name else None for name in LUMBAR]
    if None not in heights:
        row["sum_body_height_l1_l5_mm"] = sum(heights)
    chain = lumbar_chain(vertebrae, discs)
    if chain is None:
        return row
    heights = [r["height_mean_mm"] for r in chain[0]]
    gaps = [r["gap_mean_mm"] for r in chain[1]]
    if None not in gaps:
        row["sum_gap_l1_s1_mm"] = sum(gaps)
        if None not in heights:
            row["disc_fraction_lumbar_ratio"] = sum(gaps) / (sum(gaps) + sum(heights))
    return row


def sagittal_offsets(ends: Ends) -> Row:
    """Offsets along the scanner's anterior axis between centroids and posterior corners."""
    row: Row = {}
    bodies = {b.level: b for b in ends.geometry.bodies if b.level and b.is_complete}
    c2, c7, sacral = bodies.get("C2"), bodies.get("C7"), ends.geometry.sacral
    if c7 is None:
        return row
    if c2 is not None:
        corner = c7.corner("superior", "posterior")
        if corner is not None:
            row["sagittal_offset_c2_c7_mm"] = float((c2.crop.centroid_mm - corner)[1])
    if sacral is not None:
        corner = sacral_corner(sacral, ends.geometry.sacrum, "posterior")
        if corner is not None:
            row["sagittal_offset_c7_s1_mm"] = float((c7.crop.centroid_mm - corner)[1])
    return row
