"""The row of the table `scans` of a measured scan."""

from typing import Any

from columna.anatomy import DISC_OFFSET, SACRUM, levels
from columna.measure.context import MeasureContext
from columna.tables.rows import finish_row
from columna.tables.scans import SCANS
from columna.tables.unmeasured import UNKNOWN_COUNTS, known_facts

Row = dict[str, Any]

VARIANTS = {
    (12, 5): "none",
    (11, 5): "t11",
    (13, 5): "t13",
    (12, 4): "l4",
    (12, 6): "l6",
    (11, 6): "t11_l6",
    (13, 4): "t13_l4",
}
"""Thoracic and lumbar count -> enumeration_variant."""


def measured_scan_row(
    context: MeasureContext, vertebrae: list[Row], instance_labels: set[int]
) -> Row:
    """Sum up a measured scan.

    Parameters
    ----------
    context
        The scan.
    vertebrae
        Its rows of the table `vertebrae`.
    instance_labels
        All labels of its instance mask.
    """
    return finish_row(
        SCANS,
        context.identity
        | known_facts(context.facts)
        | known_facts(context.provenance)
        | {"is_excluded_input": False, "input_status": "ok", "processing_status": "done"}
        | _counts(vertebrae, instance_labels),
    )


def _counts(vertebrae: list[Row], instance_labels: set[int]) -> Row:
    seen = [row for row in vertebrae if row["spineps_label"] is not None]
    named = sorted((r for r in seen if r["level"]), key=lambda row: row["level_order"])
    has_c2 = any(row["level"] == "C2" for row in named)
    counts = {
        "n_vertebrae_n": len(seen),
        "n_bodies_complete_n": sum(row["body_status"] == "ok" for row in seen),
        "n_discs_n": sum(label - DISC_OFFSET in levels() for label in instance_labels),
        "level_first": named[0]["level"] if named else None,
        "level_last": named[-1]["level"] if named else None,
        "has_sacrum": SACRUM in instance_labels,
        "has_c2": has_c2,
    }
    if len(named) < len(seen):
        return counts | UNKNOWN_COUNTS
    by_region = {
        region: sum(row["region"] == region for row in named)
        for region in ("cervical", "thoracic", "lumbar")
    }
    counts |= {f"n_{region}_n": n for region, n in by_region.items()}
    if not (has_c2 and SACRUM in instance_labels and _is_gapless([row["level"] for row in named])):
        return counts | UNKNOWN_COUNTS
    variant = VARIANTS.get((by_region["thoracic"], by_region["lumbar"]), "other")
    return counts | {
        "is_thoracic_count_known": True,
        "is_lumbar_count_known": True,
        "enumeration_variant": variant,
    }


def _is_gapless(names: list[str]) -> bool:
    """Whether C2 to C7, then T1 and L1 downwards, each occur once and without a gap."""
    found = [name for name in names if name != "C1"]
    numbers = {letter: [int(n[1:]) for n in found if n[0] == letter] for letter in "CTL"}
    return numbers["C"] == list(range(2, 8)) and all(
        numbers[letter] and numbers[letter] == list(range(1, len(numbers[letter]) + 1))
        for letter in "TL"
    )
