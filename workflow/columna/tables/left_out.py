"""Inputs that the cohort index left out, as rows of the table `scans`."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from columna.cohort.names import PERSON, SCAN_ID
from columna.tables.unmeasured import unmeasured_scan_row

OK = "ok"


def left_out_rows(index: pa.Table) -> Iterator[dict[str, Any]]:
    """Make one row for every row of `index` that is not ``ok``.

    A scan_id that is missing, unusable or taken by another row becomes ``row-<number>``, by the
    place of the row in the index. Nothing else of the index is copied, above all no path.

    Parameters
    ----------
    index
        Columns participant_id, session_id, scan_id, input_status and reason; all text.
    """
    rows = index.select(
        ["participant_id", "session_id", "scan_id", "input_status", "reason"]
    ).to_pylist()
    taken = {row["scan_id"] for row in rows if row["input_status"] == OK}
    for number, row in enumerate(rows, start=1):
        if row["input_status"] == OK:
            continue
        scan_id = _usable_name(row["scan_id"], number, taken)
        taken.add(scan_id)
        yield unmeasured_scan_row(
            scan_id=scan_id,
            participant_id=_if_usable(row["participant_id"]),
            session_id=_if_usable(row["session_id"]),
            stage="index",
            status="refused",
            code=row["input_status"],
            reason=row["reason"],
        )


def _usable_name(scan_id: str | None, number: int, taken: set[str]) -> str:
    if scan_id and SCAN_ID.fullmatch(scan_id) and scan_id not in taken:
        return scan_id
    name = f"row-{number:07d}"
    while name in taken:
        name += "-"
    return name


def _if_usable(name: str | None) -> str | None:
    return name if name and PERSON.fullmatch(name) else None
