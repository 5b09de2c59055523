"""Rows of the table `scans` for inputs that were not measured: left out, refused or failed."""

import re
from collections.abc import Mapping
from typing import Any

from columna.tables.finish import Missing, finish_row
from columna.tables.scans import NOT_CHECKED, SCANS

UNKNOWN_COUNTS = {
    "is_thoracic_count_known": False,
    "is_lumbar_count_known": False,
    "enumeration_variant": "indeterminate",
}
"""Columns of `scans` where the vertebrae cannot be counted out."""

CHECKED = "dim_si_n"
"""A fact that is known of an input once it was read and accepted."""
NOT_ALWAYS_TOLD = (
    *("is_stitched", "n_stations_n", "stitch_si_mm"),
    *("qform_distance_mm", "is_qform_mirrored", "qform_turn_deg", "qform_scale_ratio"),
    "qform_shift_mm",
)
"""Facts that neither header, image nor sidecar may tell."""
_INPUT_STAGES = ("index", "prepare")
_PATH = re.compile(r"\S*[/\\]\S*|\S+\.nii(?:\.gz)?\b")


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
) -> dict[str, Any]:
    """Make the row of an input that was left out or refused, or failed.

    Parameters
    ----------
    scan_id, participant_id, session_id
        Identity, as in the cohort.
    stage, status, code, reason
        Where it ended, ``refused`` or ``failed``, and why. Paths in `reason` are left out.
    facts
        What `prepare` says of the input; where it did not come so far, what name and sidecars do
        (`columna.prepare.modality.acquisition_facts`).
    provenance
        Versions and digests, by column name.
    """
    is_excluded = status == "refused" and stage in _INPUT_STAGES
    facts = facts or {}
    reason = without_paths(reason)
    if is_excluded:
        outcome = {"input_status": code, "input_reason": reason}
    else:
        outcome = {"input_status": "ok" if CHECKED in facts else NOT_CHECKED}
    return finish_row(
        SCANS,
        {"scan_id": scan_id, "participant_id": participant_id, "session_id": session_id}
        | input_facts(facts)
        | known_facts(provenance or {})
        | outcome
        | {
            "is_excluded_input": is_excluded,
            "processing_status": status,
            "processing_stage": stage,
            "processing_code": code,
            "processing_reason": reason,
        }
        | UNKNOWN_COUNTS,
    )


def input_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `prepare` says of an input, as columns; what it could not tell has its reason."""
    unknown = [name for name in NOT_ALWAYS_TOLD if facts.get(name) is None]
    return known_facts(facts) | dict.fromkeys(unknown, Missing("not_recorded"))


def known_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `facts` that the table `scans` has a column for."""
    return {name: value for name, value in facts.items() if name in SCANS.names}


def without_paths(text: str | None) -> str | None:
    """`text` on one line and without paths and names of images: these may identify a person."""
    return None if text is None else " ".join(_PATH.sub("<file>", text).split())
