"""Do the rows of all shards add up? Rows in = rows out, and none from elsewhere.

Every function looks at views of the shards in a DuckDB database, called like their tables, and
raises `TableError` naming the first row that is wrong.
"""

import duckdb
import pyarrow as pa

from columna.cohort.candidates import OK
from columna.errors import TableError
from columna.tables.catalogue import SHARDED
from columna.tables.scans import SCANS
from columna.tables.schema import Table
from columna.tables.validate import key_text

UNIFORM = ("measure_version", "pipeline_version", "model_semantic_sha256", "model_instance_sha256")
"""Columns of `scans` of which all rows must hold one value, where they hold any."""
ALWAYS_PRESENT = ("vertebrae", "quality")
"""Tables that hold rows of every scan that is done, whatever its masks show."""


def check_unique_rows(database: duckdb.DuckDBPyConnection, table: Table) -> None:
    """No key occurs twice, whichever shards hold it."""
    key = ", ".join(table.key)
    twice = database.execute(
        f"SELECT {key} FROM {table.name} GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 1"  # noqa: S608
    ).fetchall()
    if twice:
        raise TableError(f"{table.name}: duplicate key {key_text(table.key, twice[0])}")


def check_against_index(database: duckdb.DuckDBPyConnection, index: pa.Table) -> None:
    """Rows in = rows out: every accepted input has its row in `scans`, and nothing else has."""
    measured = _scan_ids(
        database,
        "SELECT scan_id FROM scans WHERE processing_stage IS NULL OR processing_stage != 'index'",
    )
    accepted = {
        str(scan_id)
        for scan_id, status in zip(
            index["scan_id"].to_pylist(), index["input_status"].to_pylist(), strict=True
        )
        if status == OK
    }
    _refuse_any(accepted - measured, "scans: no row for {n} scans of the cohort")
    _refuse_any(measured - accepted, "scans: {n} rows are of no scan of the cohort")
    [(rows,)] = database.execute("SELECT count(*) FROM scans").fetchall()
    if rows != index.num_rows:
        raise TableError(f"scans: {rows} rows, but the cohort has {index.num_rows} inputs")


def check_against_scans(database: duckdb.DuckDBPyConnection, config_sha256: str) -> None:
    """All rows come from the same settings and definitions, and from scans that are done."""
    other = _scan_ids(
        database,
        f"SELECT scan_id FROM scans WHERE config_sha256 != '{config_sha256}'",  # noqa: S608
    )
    _refuse_any(other, "scans: {n} rows were made with other settings")
    for column in UNIFORM:
        found = database.execute(
            f"SELECT DISTINCT {column} FROM scans WHERE {column} IS NOT NULL ORDER BY 1"  # noqa: S608
        ).fetchall()
        if len(found) > 1:
            values = ", ".join(str(value) for (value,) in found)
            raise TableError(
                f"scans: {column} is not the same in all rows: {values}; start `snakemake` again, "
                "which repeats the scans of the old one"
            )
    done = _scan_ids(database, "SELECT scan_id FROM scans WHERE processing_status = 'done'")
    for name in SHARDED.keys() - {SCANS.name}:
        present = _scan_ids(database, f"SELECT DISTINCT scan_id FROM {name}")  # noqa: S608
        _refuse_any(present - done, f"{name}: rows of {{n}} scans that are not done")
        if name in ALWAYS_PRESENT:
            _refuse_any(done - present, f"{name}: no rows of {{n}} scans that are done")


def _scan_ids(database: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    return {scan_id for (scan_id,) in database.execute(query).fetchall()}


def _refuse_any(scan_ids: set[str], message: str) -> None:
    if scan_ids:
        first = min(scan_ids)
        raise TableError(f"{message.format(n=len(scan_ids))}, the first is scan_id={first!r}")
