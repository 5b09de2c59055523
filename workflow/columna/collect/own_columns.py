"""Rows of the table `participants`, with the columns that a cohort has of its own."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from columna.cohort.candidates import DICTIONARY, FACTS, NAMES, OUTCOME, plain_name
from columna.collect.left_out import if_usable, row_names
from columna.results.manifest import WITH_REFERENCES
from columna.results.names import MISSING
from columna.tables.delivered import own_column
from columna.tables.participants import PARTICIPANTS
from columna.tables.schema import Table

_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?")
"""A number that a float holds. Codes such as 007 and long identifiers are no numbers."""
_TEXTS = ("LongName", "Description", "Units", "TermURL")
"""Entries of a BIDS dictionary that are texts."""

NOT_OFFERED = frozenset({*NAMES, *OUTCOME, *WITH_REFERENCES, "batch", FACTS})
"""Columns of the index that are no further columns of the cohort; above all paths."""

log = logging.getLogger(__name__)


def collect_participants(index: pa.Table, wanted: Iterable[str]) -> tuple[Table, pa.Table]:
    """Make the table of the participants of a cohort.

    Parameters
    ----------
    index
        The cohort index, one row per input.
    wanted
        Names of the columns that are let through; how they are spelled does not count.

    Returns
    -------
    Table
        The declaration with the columns that the cohort has.
    pa.Table
        The rows, in order. A missing value, whichever word stands for it, is NULL.
    """
    chosen = _chosen(index.column_names, wanted)
    dictionary = described(index)
    columns: dict[str, list[Any]] = {
        "participant_id": [if_usable(name) for name in index["participant_id"].to_pylist()],
        "session_id": [if_usable(name) for name in index["session_id"].to_pylist()],
        "scan_id": row_names(index),
    }
    declared = []
    for name, source in chosen.items():
        values = [_value(text) for text in index[source].to_pylist()]
        is_numeric = any(values) and all(v is None or _NUMBER.fullmatch(v) for v in values)
        columns[name] = [v and float(v) for v in values] if is_numeric else values
        kind = "float64" if is_numeric else "string"
        declared.append(own_column(name, kind, _description(source, dictionary.get(source, {}))))
    table = replace(PARTICIPANTS, columns=(*PARTICIPANTS.columns, *declared))
    arrays = [pa.array(columns[c.name], c.arrow_type) for c in table]
    rows = pa.table(arrays, names=list(table.names))
    return table, rows.sort_by([(name, "ascending") for name in table.sort])


def own_entries(index: pa.Table, table: Table) -> dict[str, dict[str, Any]]:
    """What the JSON file of the cohort says of the columns of `table`."""
    names = [name for name in table.names if name not in PARTICIPANTS.names]
    dictionary = described(index)
    chosen = _chosen(index.column_names, names)
    return {name: dictionary[source] for name, source in chosen.items() if source in dictionary}


def described(index: pa.Table) -> dict[str, dict[str, Any]]:
    """Usable entries of the cohort's JSON file, by column of the index."""
    metadata = (index.schema.metadata or {}).get(DICTIONARY.encode(), b"{}")
    entries = {name: _usable_entry(entry) for name, entry in json.loads(metadata).items()}
    return {name: entry for name, entry in entries.items() if entry}


def _chosen(columns: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Name in the table -> column of the index."""
    by_name: dict[str, str] = {}
    for column in columns:
        if column in NOT_OFFERED:
            continue
        first = by_name.setdefault(plain_name(column), column)
        if first != column:
            log.warning("columns %r and %r of the cohort: the first one counts", first, column)
    names = dict.fromkeys(plain_name(name) for name in wanted)
    return {name: by_name[name] for name in names if name in by_name and name not in NOT_OFFERED}


def _value(text: str | None) -> str | None:
    text = (text or "").strip()
    return None if text.lower() in MISSING else text


def _description(source: str, entry: Mapping[str, Any]) -> str:
    text = entry.get("Description") or entry.get("LongName") or f"Column {source!r} of the cohort"
    units = f" Units: {entry['Units']}." if entry.get("Units") else ""
    return f"{text.rstrip('.')}.{units}"


def _usable_entry(entry: Any) -> dict[str, Any]:
    """The parts of a dictionary entry that are as BIDS has them."""
    if not isinstance(entry, dict):
        return {}
    usable: dict[str, Any] = {
        key: " ".join(entry[key].split())
        for key in _TEXTS
        if isinstance(entry.get(key), str) and entry[key].strip()
    }
    levels = entry.get("Levels")
    if isinstance(levels, dict) and levels:
        usable["Levels"] = {code: _level_text(meaning) for code, meaning in levels.items()}
    return usable


def _level_text(meaning: Any) -> str:
    """BIDS has a text here, or an object with one."""
    if isinstance(meaning, dict):
        meaning = meaning.get("Description", "")
    return meaning if isinstance(meaning, str) else str(meaning)
