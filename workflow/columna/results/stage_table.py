"""The declared output of a batch job: one line per scan."""

import csv
from pathlib import Path

from columna.files import atomic_path
from columna.results.store import Record

COLUMNS = ("scan_id", "stage", "status", "code", "reason", "fingerprint")


def write_stage_table(path: Path, records: list[Record]) -> None:
    """Write how every scan of a batch came out.

    Times are left out on purpose: a job that had nothing to do writes the same bytes again, so
    Snakemake sees by checksum that nothing downstream has to run.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for record in records:
            row = {column: getattr(record, column) for column in COLUMNS}
            row["reason"] = " ".join((record.reason or "").split())
            writer.writerow(row)


def read_stage_table(path: Path) -> list[dict[str, str]] | None:
    """Rows of a stage table, all text; None if it is absent or damaged: its job runs again."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream, delimiter="\t")
    except (FileNotFoundError, ValueError, csv.Error):
        return None
    if tuple(header) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        return None
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
