"""From the evaluated batches to the optional tables of a cohort with references."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from columna import __version__
from columna.collect.accounts import check_unique_rows
from columna.collect.collect import (
    open_database,
    open_view,
    read_schema,
    sorted_rows,
    write_table,
)
from columna.collect.dictionary import sidecar
from columna.errors import TableError
from columna.evaluate.summary import summarize
from columna.files import write_json
from columna.results.layout import Layout
from columna.results.manifest import list_evaluated
from columna.tables.catalogue import OPTIONAL
from columna.tables.evaluation import EVALUATION, PAIRS, SUMMARY
from columna.tables.schema import Row, Table
from columna.tables.shards import check_origin, rows_to_arrow


def collect_evaluation(layout: Layout, config_sha256: str) -> dict[str, int]:
    """Write ``evaluation``, ``evaluation_summary`` and ``evaluation_pairs`` of a run.

    Rows are sorted and written as a stream, and summarized one structure at a time.

    Parameters
    ----------
    layout
        The run.
    config_sha256
        Digest of its settings.

    Returns
    -------
    dict
        Table -> rows.

    Raises
    ------
    TableError
        If the cohort has no references, or a shard is missing, damaged or of another version.
    """
    batches = list_evaluated(layout.index)
    if not batches:
        raise TableError(
            f"{layout.index}: no scan of the cohort has a reference. Name some in the columns "
            "reference_semantic and reference_instance of the cohort sheet, and run `columna index`"
        )
    layout.tables.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-evaluation-", dir=layout.tables) as folder:
        work = Path(folder)
        with open_database(work) as database:
            for table in (EVALUATION, PAIRS):
                _open(database, table, [layout.shard(table.name, batch) for batch in batches])
            counts = {
                table.name: _write(database, table, config_sha256, work)
                for table in (EVALUATION, PAIRS)
            }
            summary = rows_to_arrow(SUMMARY, _summary(database))
        schema = SUMMARY.arrow_schema(__version__, config_sha256)
        counts[SUMMARY.name] = write_table(SUMMARY, schema, iter(summary.to_batches()), work)
        for name, table in OPTIONAL.items():
            write_json(work / f"{name}.json", sidecar(table))
            for ending in ("parquet", "json"):
                (work / f"{name}.{ending}").replace(layout.tables / f"{name}.{ending}")
    return counts


def _open(database: duckdb.DuckDBPyConnection, table: Table, files: list[Path]) -> None:
    for file in files:
        check_origin(table, read_schema(file), file)
    open_view(database, table, files)
    check_unique_rows(database, table)


def _write(
    database: duckdb.DuckDBPyConnection, table: Table, config_sha256: str, folder: Path
) -> int:
    schema: pa.Schema = table.arrow_schema(__version__, config_sha256)
    rows = sorted_rows(database, table, f"SELECT * FROM {table.name}")  # noqa: S608
    return write_table(table, schema, rows, folder)


def _summary(database: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Rows of ``evaluation_summary``."""
    query = f"SELECT DISTINCT structure FROM {EVALUATION.name} ORDER BY structure"  # noqa: S608
    order = ", ".join(EVALUATION.sort)
    for (structure,) in database.execute(query).fetchall():
        # in one order, so that sums are equal to the last bit
        values = database.execute(
            f"SELECT * FROM {EVALUATION.name} WHERE structure = ? ORDER BY {order}",  # noqa: S608
            [structure],
        ).df()
        yield from summarize(values)
