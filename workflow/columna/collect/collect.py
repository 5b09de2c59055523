"""From the shards of all batches to one checked, sorted Parquet file per table."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from columna import __version__
from columna.assess.cohort_rules import GROUPS, compare_with_cohort
from columna.assess.verdicts import verdict_queries
from columna.cohort.inputs import read_inputs
from columna.collect.accounts import check_against_index, check_against_scans, check_unique_rows
from columna.collect.dictionary import data_package, dictionary_rows, sidecar
from columna.collect.groups import scan_groups
from columna.collect.left_out import left_out_rows
from columna.collect.own_columns import collect_participants, own_entries
from columna.collect.rating_rows import rating_rows
from columna.collect.views import VIEWS_FILE, views_sql
from columna.domains import IN_VERDICT
from columna.errors import TableError
from columna.files import write_json, write_text
from columna.parquet import reading
from columna.results.layout import Layout
from columna.results.manifest import check_indexed, list_batches, list_evaluated
from columna.review.corrections import decisions_state
from columna.review.decisions import Decision
from columna.tables.catalogue import ADDED, COHORT_TABLES, OPTIONAL, SHARDED, TABLES
from columna.tables.columns import COLUMNS
from columna.tables.ratings import RATINGS
from columna.tables.scans import SCANS
from columna.tables.schema import Table
from columna.tables.shards import check_origin, rows_to_arrow, write_shard
from columna.tables.validate import conform
from columna.upkeep.receipts import (
    check_delivered,
    check_uniform,
    index_stamp,
    note_collect,
    outcome_of,
    read_receipt,
)

ROW_GROUP = 122_880
"""Rows per row group, as DuckDB writes them."""
MEMORY_LIMIT = "1500MB"
"""What sorting may hold in memory; the rest goes to temporary files beside the tables."""
THREADS = 2
UNREADABLE = (
    "a shard is damaged, or the disk is full; `columna check --content` finds what is damaged, "
    "and `snakemake` rewrites it"
)

FILES = (
    *(f"{table}.parquet" for table in TABLES),
    *(f"{table}.json" for table in (*TABLES, "datapackage")),
    VIEWS_FILE,
)
"""What `collect` writes into the folder of the tables."""


def collect_tables(
    layout: Layout,
    config_sha256: str,
    participant_columns: Sequence[str] = (),
    verdict_domains: Sequence[str] = IN_VERDICT,
    decisions: Sequence[Decision] = (),
) -> dict[str, int]:
    """Collect the tables of a run; see `collect`."""
    check_indexed(layout.index)
    batches = list_batches(layout.index)
    index = index_stamp(layout)
    receipts = {batch: read_receipt(layout, batch) for batch in batches}
    check_uniform(receipts)
    check_delivered(layout, receipts.values())
    counts = collect(
        {table: [layout.shard(table, batch) for batch in batches] for table in SHARDED},
        read_inputs(layout.index),
        layout.tables,
        config_sha256,
        participant_columns,
        _optional_tables(layout),
        verdict_domains,
        decisions,
    )
    written = [layout.tables / name for name in FILES]
    outcome, decided = outcome_of(receipts.values()), decisions_state(decisions)
    note_collect(layout, config_sha256, outcome, index, written, decided)
    return counts


def _optional_tables(layout: Layout) -> Mapping[str, Table]:
    """Tables beside these that the dictionary describes, too: of the evaluation, and added ones.

    Without references, tables of the evaluation that an earlier run wrote are removed.
    """
    added = {n: t for n, t in ADDED.items() if (layout.tables / f"{n}.parquet").exists()}
    if list_evaluated(layout.index):
        return {**OPTIONAL, **added}
    for name in OPTIONAL:
        for ending in ("parquet", "json"):
            (layout.tables / f"{name}.{ending}").unlink(missing_ok=True)
    return added


def collect(
    shards: Mapping[str, Sequence[Path]],
    index: pa.Table | pd.DataFrame,
    out: Path,
    config_sha256: str,
    participant_columns: Sequence[str] = (),
    optional: Mapping[str, Table] | None = None,
    verdict_domains: Sequence[str] = IN_VERDICT,
    decisions: Sequence[Decision] = (),
) -> dict[str, int]:
    """Write one Parquet file per table, and the data dictionary in its four forms.

    Rows are sorted, checked and written as a stream; equal rows give equal bytes, however they
    were divided into shards. The files of `out` are replaced when all of them are complete.

    Parameters
    ----------
    shards
        Table -> its shards.
    index
        The cohort index, one row per input, with columns participant_id, session_id, scan_id,
        input_status and reason. Each row comes back as exactly one row of `scans`.
    out
        Folder of the tables.
    config_sha256
        Digest of the settings that all rows were made with.
    participant_columns
        Further columns of the index that the table `participants` may hold.
    optional
        Tables that lie beside these and are described with them.
    verdict_domains
        Domains of the rules that make the verdict on a scan.
    decisions
        What people have decided about the scans.

    Returns
    -------
    dict
        Table -> rows.

    Raises
    ------
    TableError
        If a shard is missing or of another version, a row does not fit its table, a key occurs
        twice, or rows do not match the index or `scans`.
    """
    if isinstance(index, pd.DataFrame):
        index = pa.Table.from_pandas(index, preserve_index=False)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-collect-", dir=out) as folder:
        work = Path(folder)
        with (
            open_database(work) as database,
            reading(out.parent / "shards", UNREADABLE, what="cannot be read as a whole"),
        ):
            table, rows = collect_participants(index, participant_columns)
            database.register(GROUPS, scan_groups(index, table, rows))
            counts = _collect(
                database, shards, index, work, config_sha256, verdict_queries(verdict_domains)
            )
        schema = table.arrow_schema(__version__, config_sha256)
        counts[table.name] = write_table(table, schema, iter(rows.to_batches()), work)
        ratings = rows_to_arrow(RATINGS, rating_rows(decisions, index))
        schema = RATINGS.arrow_schema(__version__, config_sha256)
        counts[RATINGS.name] = write_table(RATINGS, schema, ratings.to_batches(), work)
        described_tables = {**TABLES, **(optional or {}), table.name: table}
        _write_dictionary(work, config_sha256, described_tables)
        described = sidecar(table, own_entries(index, table))
        write_json(work / f"{table.name}.json", described)
        for pattern in ("*.parquet", "*.json", "*.sql"):
            for file in sorted(work.glob(pattern)):
                file.replace(out / file.name)
    return counts


def open_database(work: Path) -> duckdb.DuckDBPyConnection:
    """Open a database that keeps within `MEMORY_LIMIT` and spills into `work`."""
    spill = work / "spill"
    spill.mkdir()
    return duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill),
            "threads": THREADS,
            "preserve_insertion_order": False,
        }
    )


def _collect(
    database: duckdb.DuckDBPyConnection,
    shards: Mapping[str, Sequence[Path]],
    index: pa.Table,
    work: Path,
    config_sha256: str,
    queries: Mapping[str, str],
) -> dict[str, int]:
    left_out = work / "spill" / "left_out.parquet"
    write_shard(left_out, SCANS.name, left_out_rows(index))
    for name, table in SHARDED.items():
        files = [*shards[name], left_out] if table is SCANS else shards[name]
        for file in files:
            check_origin(table, read_schema(file), file)
        open_view(database, table, files)
        check_unique_rows(database, table)
    check_against_index(database, index)
    check_against_scans(database, config_sha256)
    compare_with_cohort(database)
    counts = {}
    for name, table in {**SHARDED, **{t.name: t for t in COHORT_TABLES}}.items():
        query = queries.get(name, f"SELECT * FROM {name}")  # noqa: S608
        schema = table.arrow_schema(__version__, config_sha256)
        counts[name] = write_table(table, schema, sorted_rows(database, table, query), work)
    return counts


def read_schema(file: Path) -> pa.Schema:
    """Schema of a shard; TableError if it is missing or damaged."""
    try:
        with reading(file, "start `snakemake` again, which rewrites it"):
            return pq.read_schema(file)
    except FileNotFoundError as error:
        raise TableError(f"{file}: no such shard; have measure and assess ended?") from error


def open_view(database: duckdb.DuckDBPyConnection, table: Table, files: Sequence[Path]) -> None:
    """Let the view called like the table stand for all its shards."""
    if not files:
        database.register(table.name, table.shard.arrow_schema().empty_table())
        return
    paths = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    # every shard was checked to have the schema of its table
    columns = ", ".join(f'"{name}"' for name in table.shard.names)
    database.execute(
        f"CREATE VIEW {table.name} AS SELECT {columns} FROM read_parquet([{paths}])"  # noqa: S608
    )


def sorted_rows(
    database: duckdb.DuckDBPyConnection, table: Table, query: str
) -> Iterator[pa.RecordBatch]:
    """Rows of a query in the order of the table, in pieces of a row group."""
    order = ", ".join(f"{name} ASC NULLS LAST" for name in table.sort)
    yield from database.sql(f"SELECT * FROM ({query}) ORDER BY {order}").to_arrow_reader(ROW_GROUP)  # noqa: S608


def write_table(
    table: Table, schema: pa.Schema, batches: Iterable[pa.RecordBatch], folder: Path
) -> int:
    """Check and write rows as they come; one row group per batch."""
    rows = 0
    path = folder / f"{table.name}.parquet"
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            data = conform(table, pa.Table.from_batches([batch]), schema)
            writer.write_table(data, row_group_size=ROW_GROUP)
            rows += data.num_rows
    return rows


def _write_dictionary(folder: Path, config_sha256: str, tables: Mapping[str, Table]) -> None:
    rows = rows_to_arrow(COLUMNS, dictionary_rows(tables.values()))
    write_table(
        COLUMNS, COLUMNS.arrow_schema(__version__, config_sha256), rows.to_batches(), folder
    )
    for name, table in tables.items():
        write_json(folder / f"{name}.json", sidecar(table))
    provenance: dict[str, Any] = {
        "pipeline_version": __version__,
        "config_sha256": config_sha256,
    }
    write_json(folder / "datapackage.json", data_package(tables.values(), provenance))
    write_text(folder / VIEWS_FILE, views_sql())
