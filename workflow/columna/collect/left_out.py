"""Inputs that the cohort index left out, as rows of the table `scans`."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from columna.cohort.candidates import FACTS, OK
from columna.measure.rows.unmeasured import unmeasured_scan_row
from columna.results.names import PERSON, SCAN_ID


def left_out_rows(index: pa.Table) -> Iterator[dict[str, Any]]:
    """Make one row for every row of `index` that is not ``ok``, with what is known of it.

    Nothing else of the index is copied, above all no path.

    Parameters
    ----------
    index
        Columns participant_id, session_id, scan_id, input_status and reason; all text. The column
        `columna.cohort.candidates.FACTS` may hold facts as JSON.
    """
    columns = ["participant_id", "session_id", "scan_id", "input_status", "reason", FACTS]
    rows = index.select([name for name in columns if name in index.column_names]).to_pylist()
    for scan_id, row in zip(row_names(index), rows, strict=True):
        if row["input_status"] == OK:
            continue
        yield unmeasured_scan_row(
            scan_id=scan_id,
            participant_id=if_usable(row["participant_id"]),
            session_id=if_usable(row["session_id"]),
            stage="index",
            status="refused",
            code=row["input_status"],
            reason=row["reason"],
            facts=json.loads(row.get(FACTS) or "{}"),
        )


def row_names(index: pa.Table) -> list[str]:
    """scan_id of every row of `index` in the tables.

    A scan_id that is missing, unusable or taken by another row becomes ``row-<number>``, by the
    place of the row in the index.
    """
    rows = index.select(["scan_id", "input_status"]).to_pylist()
    taken = {row["scan_id"] for row in rows if row["input_status"] == OK}
    names = []
    for number, row in enumerate(rows, start=1):
        name = row["scan_id"]
        if row["input_status"] != OK:
            name = _usable_name(name, number, taken)
            taken.add(name)
        names.append(name)
    return names


def _usable_name(scan_id: str | None, number: int, taken: set[str]) -> str:
    if scan_id and SCAN_ID.fullmatch(scan_id) and scan_id not in taken:
        return scan_id
    name = f"row-{number:07d}"
    while name in taken:
        name += "-"
    return name


def if_usable(name: str | None) -> str | None:
    """A participant_id or session_id, or None where it cannot be one."""
    return name if name and PERSON.fullmatch(name) else None
