"""What one rater sees of the decisions, and adds to them."""

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from columna.domains import DOMAINS
from columna.errors import DecisionError
from columna.files import stamp
from columna.review.decisions import (
    FALSE,
    NAME,
    RATE,
    SHIFT,
    UNDO,
    Decision,
    append_decision,
    for_scan,
    in_force,
    read_decisions,
)

CLEAR = "clear"
"""Asked for by pages: take back what shifts the names, or says something of a vertebra."""
FIELDS = ("domain", "vertebra", "value", "reason", "comment")


class Desk:
    """The file of decisions as one rater works with it.

    Parameters
    ----------
    path
        The file; it may not be there yet.
    rater
        Who decides here.
    is_blinded
        Whether decisions of others are neither seen nor applied.
    """

    def __init__(self, path: Path, rater: str, is_blinded: bool = False) -> None:
        self.path = path
        self.rater = rater
        self.is_blinded = is_blinded
        self._lock = threading.Lock()
        self._stamp: list[Any] | None = None
        self._decisions: list[Decision] = []

    def seen(self) -> list[Decision]:
        """All decisions that the rater may see, those that were taken back included."""
        with self._lock:
            now = stamp(self.path)
            if now != self._stamp:
                self._decisions = read_decisions(self.path) if now else []
                self._stamp = now
            return [d for d in self._decisions if not self.is_blinded or d.rater == self.rater]

    def rated(self) -> set[str]:
        """Scans of which the rater has rated every domain."""
        domains: dict[str, set[str]] = {}
        for decision in in_force(self.seen()):
            if decision.decision == RATE and decision.rater == self.rater:
                domains.setdefault(decision.scan_id, set()).add(decision.domain)
        return {scan_id for scan_id, found in domains.items() if found == set(DOMAINS)}

    def decide(self, scan_id: str, asked: Mapping[str, Any]) -> None:
        """Append what a page asks for; it is on the disk when this returns.

        Parameters
        ----------
        scan_id
            A scan of the cohort.
        asked
            ``decision`` and the fields that it uses. ``undo`` without a value takes back the
            rater's latest decision about the scan; `CLEAR` takes back all that shifts its names,
            or says something of its ``vertebra``.

        Raises
        ------
        DecisionError
            If this is no decision, or there is nothing to take back.
        OSError
            If the file cannot be written.
        """
        values = {name: str(asked.get(name) or "") for name in FIELDS}
        kind = str(asked.get("decision") or "")
        if kind == UNDO:
            self._append(scan_id, UNDO, value=self._to_undo(scan_id, values["value"]).decision_id)
        elif kind == CLEAR:
            for decision in self._about(scan_id, values["vertebra"]):
                self._append(scan_id, UNDO, value=decision.decision_id)
        else:
            self._append(scan_id, kind, **values)

    def _append(self, scan_id: str, kind: str, **values: str) -> None:
        made = Decision.made(scan_id, kind, self.rater, **values)
        append_decision(self.path, replace(made, decision_id=_new_id()))

    def _standing(self, scan_id: str) -> list[Decision]:
        """Decisions about a scan that were not taken back."""
        found = for_scan(self.seen(), scan_id)
        gone = {d.value for d in found if d.decision == UNDO}
        return [d for d in found if d.decision != UNDO and d.decision_id not in gone]

    def _to_undo(self, scan_id: str, decision_id: str) -> Decision:
        own = [d for d in self._standing(scan_id) if d.rater == self.rater]
        if decision_id:
            own = [d for d in own if d.decision_id == decision_id]
        if not own:
            raise DecisionError("There is no decision of yours to take back.")
        return own[-1]

    def _about(self, scan_id: str, vertebra: str) -> Iterable[Decision]:
        kinds = (NAME, FALSE) if vertebra else (SHIFT,)
        return [
            d for d in self._standing(scan_id) if d.decision in kinds and d.vertebra == vertebra
        ]


def _new_id() -> str:
    """32 hexadecimal digits that grow with time.

    Decisions of one second are ordered by their ids: a second press of a key has to count after
    the first one.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
