"""Decisions as rows of the table `ratings`."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from columna.collect.left_out import if_usable, row_names
from columna.review.decisions import UNDO, Decision, in_force
from columna.tables.finish import finish_row
from columna.tables.ratings import RATINGS

log = logging.getLogger(__name__)


def rating_rows(decisions: Sequence[Decision], index: pa.Table) -> list[dict[str, Any]]:
    """Make one row for every decision about a scan of `index`, in the order of the table.

    Decisions about other scans have no row: a warning tells how many.

    Parameters
    ----------
    decisions
        All decisions, those that take others back among them.
    index
        The cohort index, with columns participant_id, session_id, scan_id and input_status.
    """
    named = index.select(["participant_id", "session_id"]).to_pylist()
    people = {
        scan_id: {
            "participant_id": if_usable(row["participant_id"]),
            "session_id": if_usable(row["session_id"]),
            "scan_id": scan_id,
        }
        for scan_id, row in zip(row_names(index), named, strict=True)
    }
    strangers = [d.scan_id for d in decisions if d.scan_id not in people]
    if strangers:
        log.warning(
            "%d decisions are about scans that are not in the cohort, the first about %r",
            len(strangers),
            min(strangers),
        )
    counted = {d.decision_id for d in in_force(decisions)}
    undone = _taken_back(decisions)
    rows = [
        finish_row(RATINGS, people[d.scan_id] | _columns(d, counted, undone))
        for d in decisions
        if d.scan_id in people and d.decision != UNDO
    ]
    return sorted(rows, key=lambda row: [(row[n] is None, row[n] or "") for n in RATINGS.sort])


def _taken_back(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """Id of a decision -> the first that takes it back."""
    found: dict[str, Decision] = {}
    for decision in sorted(decisions, key=lambda d: d.order):
        if decision.decision == UNDO:
            found.setdefault(decision.value, decision)
    return found


def _columns(
    decision: Decision, counted: set[str], undone: Mapping[str, Decision]
) -> dict[str, Any]:
    by = undone.get(decision.decision_id)
    state = "in_force" if decision.decision_id in counted else "undone" if by else "replaced"
    return {
        "decision_id": decision.decision_id,
        "decided_at": decision.decided_at,
        "rater": decision.rater,
        "decision": decision.decision,
        "state": state,
        "domain": decision.domain or None,
        "review_position": decision.position if decision.vertebra else None,
        "value": decision.value or None,
        "reason": decision.reason or None,
        "undone_by": by.rater if by else None,
        "undone_at": by.decided_at if by else None,
    }
