"""Some scans of a cohort instead of all: by participant, session, and entities of file names."""

import logging
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import pandas as pd
from bids2table import get_arrow_schema, parse_bids_entities

from columna.config import Selection
from columna.errors import CohortError

ANY = "*"
"""In place of a value: any value, as long as there is one."""
SHOWN = 5
"""Labels that a message lists."""

log = logging.getLogger(__name__)


def selected(rows: pd.DataFrame, selections: Sequence[Selection], cohort: Path) -> pd.DataFrame:
    """Rows that any of the selections takes; all rows where there is no selection.

    Parameters
    ----------
    rows
        Rows of a cohort (`columna.cohort.candidates`).
    selections
        What to take.
    cohort
        Sheet or folder that the rows come from, for messages.

    Raises
    ------
    CohortError
        If a participant or a session is not in the cohort, or a selection takes nothing at all.
    """
    if not selections:
        return rows
    taken = pd.Series(False, rows.index)
    for selection in selections:
        taken |= _taken(rows, selection, cohort)
    return rows[taken].reset_index(drop=True)


def _taken(rows: pd.DataFrame, selection: Selection, cohort: Path) -> pd.Series:
    people = rows["participant_id"].map(partial(_plain, prefix="sub-"))
    sessions = rows["session_id"].map(partial(_plain, prefix="ses-"))
    taken = _chosen(people, "sub-", selection.participants, cohort)
    in_session = _chosen(sessions[taken], "ses-", selection.sessions, cohort)
    taken &= in_session.reindex(rows.index, fill_value=False)
    if selection.entities:
        taken &= _with_entities(rows["path"], selection.entities)
    if not taken.any():
        raise CohortError(f"{cohort}: no file fits the selection {_told(selection)}")
    wanted = {label.removeprefix("sub-") for label in selection.participants}
    for label in sorted(wanted - set(people[taken])):
        log.warning("%s: no file of sub-%s fits the selection", cohort, label)
    return taken


def _chosen(labels: pd.Series, prefix: str, wanted: Sequence[str], cohort: Path) -> pd.Series:
    """Which labels are wanted: all of them where no wish is given."""
    if not wanted:
        return pd.Series(True, labels.index)
    names = {label.removeprefix(prefix) for label in wanted}
    known = set(labels.dropna())
    unknown = sorted(names - known)
    if unknown:
        there = _list(prefix, sorted(known)) if known else "none"
        raise CohortError(f"{cohort}: there is no {_list(prefix, unknown)}; there are: {there}")
    return labels.isin(names)


def _with_entities(paths: pd.Series, wanted: dict[str, tuple[str, ...] | None]) -> pd.Series:
    asked = {_short_name(name): values for name, values in wanted.items()}
    found = [parse_bids_entities(Path(path)) for path in paths]
    fits = [all(_fits(f.get(name), values) for name, values in asked.items()) for f in found]
    return pd.Series(fits, paths.index, dtype=bool)


def _fits(value: object, wanted: Iterable[str] | None) -> bool:
    if wanted is None or value is None:
        return wanted is None and value is None
    return any(w == ANY or _same(str(value), w) for w in wanted)


def _same(value: str, wanted: str) -> bool:
    """Whether two values are equal; numbers may differ in leading zeros."""
    is_number = value.isdecimal() and wanted.isdecimal()
    return int(value) == int(wanted) if is_number else value == wanted


@cache
def _short_names() -> dict[str, str]:
    """Long and short names of entities -> the short ones, as BIDS defines them."""
    fields = get_arrow_schema()
    entities = [field for field in fields if b"entity" in (field.metadata or {})]
    long = {field.metadata[b"entity"].decode(): field.name for field in entities}
    return long | {name: name for name in (*long.values(), "suffix", "datatype")}


def _short_name(name: str) -> str:
    if name not in _short_names():
        raise CohortError(f"{name!r} is not a BIDS entity, such as acq or acquisition")
    return _short_names()[name]


def _plain(label: str | None, prefix: str) -> str | None:
    return label.removeprefix(prefix) if isinstance(label, str) else None


def _list(prefix: str, labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(prefix + label for label in labels[:SHOWN]) + more


def _told(selection: Selection) -> str:
    return str(selection.model_dump(mode="json", exclude_defaults=True))
