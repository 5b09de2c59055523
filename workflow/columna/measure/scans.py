"""The row of the table `scans`: measured or not."""

import re
from collections.abc import Mapping
from typing import Any

from columna.anatomy import DISC_OFFSET, SACRUM, levels
from columna.measure.context import MeasureContext
from columna.tables.rows import finish_row
from columna.tables.scans import NOT_CHECKED, SCANS

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

_UNKNOWN_COUNTS = {
    "is_thoracic_count_known": False,
    "is_lumbar_count_known": False,
    "enumeration_variant": "indeterminate",
}
_INPUT_STAGES = ("index", "prepare")
_PATH = re.compile(r"\S*[/\\]\S*|\S+\.nii(?:\.gz)?\b")


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


def unmeasured_scan_row(
    *,
    scan_id: str,
    participant_id: str | None,
    session_id: str | None,
    stage: str,
    status: str,
    code: str | None,
    reason: str | None,
    facts: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Row:
    """Make the row of a scan that was refused or failed.

    Parameters
    ----------
    scan_id, participant_id, session_id
        Identity, as in the cohort.
    stage, status, code, reason
        Where it ended, ``refused`` or ``failed``, and why. Paths in `reason` are left out.
    facts
        What `prepare` says of the input; empty where it did not come so far.
    provenance
        Versions and digests, by column name.
    """
    facts = facts or {}
    is_excluded = status == "refused" and stage in _INPUT_STAGES
    reason = without_paths(reason)
    unread = code if is_excluded else NOT_CHECKED
    return finish_row(
        SCANS,
        {"scan_id": scan_id, "participant_id": participant_id, "session_id": session_id}
        | ({} if is_excluded else known_facts(facts))
        | known_facts(provenance or {})
        | {
            "is_excluded_input": is_excluded,
            "input_status": "ok" if facts and not is_excluded else unread,
            "input_reason": reason if is_excluded else None,
            "processing_status": status,
            "processing_stage": stage,
            "processing_code": code,
            "processing_reason": reason,
        }
        | _UNKNOWN_COUNTS,
    )


def known_facts(facts: Mapping[str, Any]) -> Row:
    """Those of `facts` that the table `scans` has a column for."""
    return {name: value for name, value in facts.items() if name in SCANS.names}


def without_paths(text: str | None) -> str | None:
    """`text` on one line and without paths and names of images: these may identify a person."""
    return None if text is None else " ".join(_PATH.sub("<file>", text).split())


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
        return counts | _UNKNOWN_COUNTS
    by_region = {
        region: sum(row["region"] == region for row in named)
        for region in ("cervical", "thoracic", "lumbar")
    }
    counts |= {f"n_{region}_n": n for region, n in by_region.items()}
    if not (has_c2 and SACRUM in instance_labels and _is_gapless([row["level"] for row in named])):
        return counts | _UNKNOWN_COUNTS
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
