"""Rules about the measures: neighbours within the scan, identities, implausible values."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from columna.anatomy import DISC_OFFSET
from columna.assess.finding import Finding, found
from columna.assess.quality_context import MeasuredRow, QualityContext, centroid_mm
from columna.assess.rules import all_rules
from columna.measure.tools.robust import huber_fit
from columna.tables.catalogue import MEASURED as MEASURED_TABLES
from columna.tables.common import SAGITTAL_CODES
from columna.tables.finish import IMPLAUSIBLE, is_implausible
from columna.tables.vertebrae import MEASURED, VERTEBRAE

MIN_COMPLETE = 7
"""Complete bodies that a quadratic over levels needs."""
LIMIT = 0.05
"""Residuals of logarithms beyond this (5 %) count less in the fit."""
LEAST_SD = 0.02
"""Smallest spread of the residuals: spines more regular than this are no reason for alarm."""
NOT_LIKE_OTHERS = ("C1", "C2")
"""Levels whose bodies do not go on with the sequence."""
MAD_TO_SD = 1.4826
NEIGHBOUR_RULES = ("volume_neighbour_z", "height_neighbour_z", "depth_neighbour_z")


def measure_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the measures."""
    bodies = ("n_bodies_complete_n", "n_bodies_lateral_cut_n")
    yield found("complete_bodies", sum(context.scan_row[name] for name in bodies))
    for rule_id in NEIGHBOUR_RULES:
        yield from _neighbour_z(context, rule_id)
    yield from _discs_between(context)
    yield from _endplates(context)
    yield from _tiling(context)
    yield _closure(context)
    yield from _implausible(context)
    yield from _expected(context)
    yield from _holes(context)
    yield _fragments(context)


def _neighbour_z(context: QualityContext, rule_id: str) -> Iterator[Finding]:
    _, column = all_rules()[rule_id].source_column
    rows = context.vertebrae
    values = {
        place: float(np.log(row[column]))
        for place, row in enumerate(rows)
        if row["presence"] in MEASURED and row["level"] not in NOT_LIKE_OTHERS and row.get(column)
    }
    scores = _robust_z(values) if len(values) >= MIN_COMPLETE else {}
    for place, row in enumerate(rows):
        lack = "neighbour_missing" if place in values else _lack(row, column)
        yield found(rule_id, scores.get(place), lack, row["vertebra"])


def _lack(row: MeasuredRow, column: str) -> str:
    """Why a vertebra has no value in `column`, or none that can be compared."""
    if row["level"] in NOT_LIKE_OTHERS:
        return "not_applicable"
    status = row[VERTEBRAE.status_of(column)]
    return "partial_fov" if status in SAGITTAL_CODES else status


def _robust_z(values: dict[int, float]) -> dict[int, float]:
    """Residuals of a robust quadratic, in robust standard deviations."""
    places = np.array(list(values), float)
    centred = (places - places.mean()) / max(float(np.ptp(places)), 1.0)
    design = np.stack([np.ones_like(centred), centred, centred**2], axis=1)
    observed = np.array(list(values.values()))
    fit = huber_fit(design, observed, LIMIT)
    if fit is None:
        return {}
    residuals = observed - design @ fit.coefficients
    centre = np.median(residuals)
    spread = max(MAD_TO_SD * float(np.median(np.abs(residuals - centre))), LEAST_SD)
    return dict(zip(values, ((residuals - centre) / spread).tolist(), strict=True))


def _discs_between(context: QualityContext) -> Iterator[Finding]:
    """Project the centre of every disc on the line between the bodies above and below."""
    discs = {
        row["label"]: row
        for row in context.rows.get("structures", ())
        if row["mask"] == "instance" and row["structure"] == "disc"
    }
    rows = context.vertebrae
    for place, row in enumerate(rows):
        rule_id, item = "disc_between_bodies", row["vertebra"]
        below = rows[place + 1] if place + 1 < len(rows) else None
        disc = discs.get(DISC_OFFSET + row["spineps_label"])
        if row["level"] == "C1":
            yield found(rule_id, None, "not_applicable", item)
        elif disc is None:
            yield found(rule_id, None, "not_segmented", item)
        elif below is None or None in (row["centroid_s_mm"], below["centroid_s_mm"]):
            yield found(rule_id, None, "neighbour_missing", item)
        else:
            start, end = centroid_mm(row), centroid_mm(below)
            way = end - start
            share = float((centroid_mm(disc) - start) @ way / (way @ way))
            yield found(rule_id, share, item=item)


def _endplates(context: QualityContext) -> Iterator[Finding]:
    coverage: defaultdict[str, list[MeasuredRow]] = defaultdict(list)
    for row in context.rows.get("endplates", ()):
        coverage[row["vertebra"]].append(row)
    for vertebra in context.vertebrae:
        rows = coverage[vertebra["vertebra"]]
        known = [row["coverage_ratio"] for row in rows if row["coverage_ratio"] is not None]
        lack = rows[-1]["coverage_status"] if rows else vertebra["body_status"]
        yield found("endplate_coverage", min(known) if known else None, lack, vertebra["vertebra"])


def _tiling(context: QualityContext) -> Iterator[Finding]:
    known = {row["vertebra_upper"]: row for row in context.rows.get("discs", ())}
    for row in context.vertebrae:
        disc = known.get(row["vertebra"])
        value, lack = (
            (disc["tiling_residual_mm"], disc["tiling_status"])
            if disc
            else (None, "not_applicable")
        )
        yield found("tiling_residual", value, lack, row["vertebra"])


def _closure(context: QualityContext) -> Finding:
    [spine] = context.rows["spine"]
    value, lack = spine["lordosis_closure_deg"], spine["lordosis_closure_status"]
    return found("lordosis_closure", value, lack)


MAIN_MEASURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "implausible_body": (
        "vertebrae",
        (
            "body_volume_mm3",
            "height_anterior_mm",
            "height_middle_mm",
            "height_posterior_mm",
            "depth_mm",
            "width_mm",
            "wedge_angle_deg",
        ),
    ),
    "implausible_posterior": (
        "vertebrae",
        ("vertebra_volume_mm3", "arch_volume_mm3", "spinous_volume_mm3"),
    ),
    "implausible_disc": (
        "discs",
        ("volume_mm3", "disc_height_middle_mm", "disc_depth_mm", "gap_middle_mm"),
    ),
    "implausible_canal": (
        "cord_canal",
        ("canal_ap_mm", "canal_area_mm2"),
    ),
}
"""Rule -> table, and the measures that a wrong mask spoils first; others depend on details, too."""
OWNERS = {
    "vertebrae": "vertebra",
    "endplates": "vertebra",
    "discs": "vertebra_upper",
    "cord_canal": "vertebra",
}
"""Table -> column that names the vertebra whose row it is."""


def _implausible(context: QualityContext) -> Iterator[Finding]:
    """Add up what all rows of a vertebra count; and those of the scan as a whole.

    Levels that were not found have rows, too (of the disc above the uppermost vertebra), as has
    S1: they have a finding where something is implausible.
    """
    counts = Counter({row["vertebra"]: 0 for row in context.vertebrae})
    for table, owner in OWNERS.items():
        for row in context.rows.get(table, ()):
            if row[IMPLAUSIBLE]:
                counts[row[owner]] += row[IMPLAUSIBLE]
    for name, count in counts.items():
        yield found("implausible_value", count, item=name)
    for rule_id, (table, columns) in MAIN_MEASURES.items():
        yield from _implausible_main(context, rule_id, table, columns)
    whole = [row for table in ("scans", "spine") for row in context.rows.get(table, ())]
    yield found("implausible_scan_value", sum(row[IMPLAUSIBLE] for row in whole))


def _implausible_main(
    context: QualityContext, rule_id: str, table: str, columns: tuple[str, ...]
) -> Iterator[Finding]:
    """Count the main measures of one kind that are outside their plausible range."""
    counts = Counter({row["vertebra"]: 0 for row in context.vertebrae})
    for row in context.rows.get(table, ()):
        for name in columns:
            if is_implausible(MEASURED_TABLES[table][name], row[name], row["region"]):
                counts[row[OWNERS[table]]] += 1
    for name, count in counts.items():
        yield found(rule_id, count, item=name)


def _fragments(context: QualityContext) -> Finding:
    """Count the pieces of bone that the sacrum or the edge of the image does not explain."""
    labels = {
        row["spineps_label"]
        for row in context.rows.get("vertebrae", ())
        if row["presence"] == "fragment"
    }
    if not context.vertebrae and not labels:
        return found("fragments", None, "not_segmented")
    pieces = [
        row
        for row in context.rows.get("structures", ())
        if row["mask"] == "instance" and row["label"] in labels
    ]
    return found("fragments", sum(not _is_explained(context, row) for row in pieces))


def _is_explained(context: QualityContext, piece: MeasuredRow) -> bool:
    """Whether a piece is one of S1, or of a vertebra that the upper or lower edge cuts."""
    if piece["touches_superior"] or piece["touches_inferior"]:
        return True
    lowest = min((row["centroid_s_mm"] for row in context.bodies), default=None)
    is_below = lowest is not None and piece["centroid_s_mm"] < lowest
    return bool(is_below and context.scan_row["has_sacrum"])


EXPECTED_RULES = ("expected_body", "expected_disc", "expected_canal", "expected_posterior")


def _expected(context: QualityContext) -> Iterator[Finding]:
    """Dice that is predicted; of the canal, the sites of a vertebra all have the same.

    Where it was calibrated for other weights, nobody knows what a low one means. What the field
    of view cuts is not measured anyway.
    """
    is_calibrated = context.scan_row["dice_calibration"] != "other_weights"
    for rule_id in EXPECTED_RULES:
        table, column = all_rules()[rule_id].source_column
        status = MEASURED_TABLES[table].status_of(column)
        rows = {row[OWNERS[table]]: row for row in context.rows.get(table, ())}
        for vertebra in context.vertebrae:
            row = rows.get(vertebra["vertebra"])
            if row is None or not is_calibrated:
                yield found(rule_id, None, "not_applicable", vertebra["vertebra"])
            elif row.get("presence", vertebra["presence"]) not in MEASURED:
                yield found(rule_id, None, "partial_fov", vertebra["vertebra"])
            else:
                yield found(rule_id, row[column], row[status], vertebra["vertebra"])


def _holes(context: QualityContext) -> Iterator[Finding]:
    for row in context.rows.get("structures", ()):
        if row["mask"] == "semantic" and row["structure"] != "unknown":
            yield found("holes", row["holes_n"], item=row["structure"])
