"""What a BIDS folder says of participants and sessions: ``participants.tsv``, ``sessions.tsv``.

The files describe people, no images: an unusable one is named in the log and stops nothing.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from columna.cohort.candidates import FACTS, OUTCOME, plain_name
from columna.cohort.delimited import read_delimited
from columna.errors import CohortError
from columna.prepare.sidecars import read_json_object
from columna.results.manifest import WITH_REFERENCES
from columna.results.names import MISSING

THREADS = 16
NOT_TAKEN = {*WITH_REFERENCES, *OUTCOME, "batch", FACTS}
"""Names of columns that mean something else in the index."""

WRONG_HEADER = "two columns have the same name, or none is participant_id or session_id"

log = logging.getLogger(__name__)

Key = tuple[str | None, str | None]
"""Participant and session; None stands for all."""


@dataclass
class People:
    """What is known by participant and session, and the columns that they are of, in order."""

    known: dict[Key, dict[str, str]] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)

    def update(self, other: "People") -> None:
        """Take over what `other` knows; it wins."""
        self.columns |= other.columns
        for key, found in other.known.items():
            self.known.setdefault(key, {}).update(found)

    def of(self, participant: str | None, session: str | None) -> dict[str, str]:
        """Everything that is known of a session, what is said of it in particular last."""
        keys: list[Key] = [(participant, None)]
        keys += [(None, session), (participant, session)] if session else []
        return {name: value for key in keys for name, value in self.known.get(key, {}).items()}


def add_people(rows: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Add the columns of ``participants.tsv`` and ``sessions.tsv`` to the rows of a BIDS folder.

    Names of columns become plain (`columna.cohort.candidates.plain_name`), so that ``Age`` and
    ``age`` are one column. Sessions are described by ``sub-X/sub-X_sessions.tsv`` (BIDS) or by
    one ``sessions.tsv`` at the root, and win over ``participants.tsv``. Labels may lack
    their ``sub-`` or ``ses-``. Where a file says two different things of the same session, it says
    nothing.

    Parameters
    ----------
    rows
        Rows of `columna.cohort.bids.read_bids`; gets the columns, with None for a missing value.
    folder
        The dataset, or the folder above its ``rawdata``.

    Returns
    -------
    dict
        Column -> its entry in ``participants.json`` or ``sessions.json``.
    """
    people = People()
    dictionary: dict[str, Any] = {}
    roots = [folder, folder / "rawdata"]
    for name in ("participants", "sessions"):
        for root in roots:
            people.update(_read_people(root / f"{name}.tsv"))
            dictionary |= _read_dictionary(root / f"{name}.json")
    for file, found in _read_subjects(rows, roots):
        if found.columns.keys() - dictionary.keys():
            dictionary = _read_dictionary(file.with_suffix(".json")) | dictionary
        people.update(found)
    names = zip(rows["participant_id"], rows["session_id"], strict=True)
    known = [people.of(*key) for key in names]
    for column in people.columns:
        rows[column] = pd.Series([k.get(column) or None for k in known], rows.index, dtype=object)
    return {column: dictionary[column] for column in people.columns if column in dictionary}


def _read_dictionary(file: Path) -> dict[str, Any]:
    return {plain_name(name): entry for name, entry in read_json_object(file).items()}


def _read_subjects(rows: pd.DataFrame, roots: list[Path]) -> list[tuple[Path, People]]:
    """The sessions.tsv of every subject that has sessions."""
    with_sessions = rows.loc[rows["session_id"].notna(), "participant_id"].dropna()
    subjects = sorted(set(with_sessions))
    files = [root / name / f"{name}_sessions.tsv" for name in subjects for root in roots]
    with ThreadPoolExecutor(THREADS) as pool:  # network file systems answer slowly
        found = list(pool.map(_read_people, files, [n for n in subjects for _ in roots]))
    return [pair for pair in zip(files, found, strict=True) if pair[1].columns]


def _read_people(file: Path, participant: str | None = None) -> People:
    """Read a table whose keys are participant_id, session_id or both."""
    people = People()
    try:
        header, rows, lines = read_delimited(file, "\t")
    except FileNotFoundError:
        return people
    except (CohortError, OSError) as error:
        log.warning("not used: %s", error)
        return people
    header = [plain_name(name) for name in header]
    if len(set(header)) < len(header) or {"participant_id", "session_id"}.isdisjoint(header):
        log.warning("not used: %s: line 1: %s", file, WRONG_HEADER)
        return people
    people.columns = dict.fromkeys(name for name in header if name and name not in NOT_TAKEN)
    for line, fields in zip(lines, rows, strict=True):
        if len(fields) != len(header):
            log.warning("not used: %s: line %d has %d fields", file, line, len(fields))
            continue
        row = {n: v.strip() for n, v in zip(header, fields, strict=True)}
        row = {name: value for name, value in row.items() if value.lower() not in MISSING}
        key = (
            _label("sub-", row.get("participant_id", participant)),
            _label("ses-", row.get("session_id")),
        )
        if key != (None, None):
            _add(people, key, row, f"{file}: line {line}")
    return people


def _add(people: People, key: Key, row: dict[str, str], where: str) -> None:
    known = people.known.setdefault(key, {})
    for column in people.columns:
        value = row.get(column)
        if value is None:
            continue
        if known.setdefault(column, value) != value:
            log.warning("%s: says another %s of %s than a line before", where, column, key)
            known[column] = ""


def _label(prefix: str, text: str | None) -> str | None:
    return text if text is None or text.startswith(prefix) else prefix + text
