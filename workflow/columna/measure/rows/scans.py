"""The row of the table `scans` of a measured scan."""

from collections.abc import Collection

from columna.label.kinds import instance_kind
from columna.measure.context import MeasureContext
from columna.measure.rows.unmeasured import UNKNOWN_COUNTS, input_facts, known_facts
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import finish_row
from columna.tables.scans import SCANS, VARIANT_NAMES
from columna.tables.schema import REGIONS, Row

VARIANTS = {
    (12, 5): "none",
    (11, 5): "one_less",
    (12, 4): "one_less",
    (13, 5): "one_more",
    (12, 6): "one_more",
}
"""Thoracic and lumbar count -> enumeration_variant."""


def measured_scan_row(
    context: MeasureContext,
    vertebrae: list[Row],
    instance_labels: Collection[int],
    has_sacrum: bool,
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
    has_sacrum
        Whether enough of the sacrum was found.
    """
    discs = [
        label
        for label in instance_labels
        if instance_kind(label) == "disc" and label not in context.fragments
    ]
    return finish_row(
        SCANS,
        context.identity
        | UNKNOWN_COUNTS
        | input_facts(context.facts)
        | known_facts(context.provenance)
        | {"is_excluded_input": False, "input_status": "ok", "processing_status": "done"}
        | {"has_sacrum": has_sacrum, "n_discs_n": len(discs)}
        | _variants(context)
        | _counts(vertebrae),
    )


def _variants(context: MeasureContext) -> Row:
    if not context.variants:
        return {"variant_p_status": "not_recorded"}
    return {f"p_{name}_ratio": context.variants[name] for name in VARIANT_NAMES}


def _counts(vertebrae: list[Row]) -> Row:
    """Counts of vertebrae; fragments are none."""
    found = [row for row in vertebrae if row["spineps_label"] is not None]
    seen = [row for row in found if row["presence"] != "fragment"]
    named = sorted((r for r in seen if r["level"]), key=lambda row: row["level_order"])
    counts: Row = {
        "n_vertebrae_n": len(seen),
        "n_fragments_n": len(found) - len(seen),
        "n_bodies_complete_n": sum(row["body_status"] == "ok" for row in seen),
        "n_bodies_lateral_cut_n": sum(row["presence"] == LATERAL_CUT for row in seen),
        "has_c2": any(row["index_from_c2"] == 1 for row in seen),
    }
    if not named:
        return counts | {"levels_status": "no_anchor" if seen else "not_segmented"}
    counts |= {"level_first": named[0]["level"], "level_last": named[-1]["level"]}
    if len(named) < len(seen):
        return counts | {"counts_status": "no_anchor"}
    by_region = {region: sum(row["region"] == region for row in named) for region in REGIONS}
    counts |= {f"n_{region}_n": n for region, n in by_region.items()}
    if _is_counted_out(named):
        variant = VARIANTS.get((by_region["thoracic"], by_region["lumbar"]), "indeterminate")
        is_known = variant == "none"
        counts |= {
            "is_thoracic_count_known": is_known,
            "is_lumbar_count_known": is_known,
            "enumeration_variant": variant,
        }
    return counts


def _is_counted_out(named: list[Row]) -> bool:
    """Whether vertebrae were counted from C2 to the sacrum, and each level occurs once."""
    has_both_ends = any(row["index_from_c2"] == 1 for row in named) and any(
        row["index_from_sacrum"] == 1 for row in named
    )
    names = [row["level"] for row in named if row["level"] != "C1"]
    numbers = {letter: [int(name[1:]) for name in names if name[0] == letter] for letter in "CTL"}
    return (
        has_both_ends
        and numbers["C"] == list(range(2, 8))
        and all(numbers[letter] == list(range(1, len(numbers[letter]) + 1)) for letter in "TL")
    )
