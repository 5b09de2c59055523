"""One batch's rows of one table, as a small Parquet file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from columna.errors import TableError
from columna.files import atomic_path
from columna.parquet import reading
from columna.tables.catalogue import OPTIONAL, SHARDED
from columna.tables.schema import SCHEMA_VERSION, Table
from columna.tables.validate import check_unique, conform


def rows_to_arrow(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make a checked Arrow table of `rows` (as `columna.tables.finish.finish_row` gives them).

    Raises
    ------
    TableError
        If a row does not fit the declaration of `table`, or two rows have the same key.
    """
    rows = list(rows)
    columns = {}
    for column in table:
        plain = pa.string() if column.type == "category" else column.arrow_type
        values = [row[column.name] for row in rows]
        try:
            columns[column.name] = pa.array(values, plain, from_pandas=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise TableError(f"{table.name}.{column.name}: not {column.type}: {error}") from error
    data = conform(table, pa.table(columns))
    check_unique(table, data)
    return data


def write_shard(path: Path, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `rows` of the table called `table` to `path`, atomically.

    Equal rows give equal bytes.

    Raises
    ------
    TableError
        If a row does not fit its declaration, or two rows have the same key.
    """
    data = rows_to_arrow({**SHARDED, **OPTIONAL}[table].shard, rows)
    with atomic_path(path) as temporary:
        pq.write_table(data, temporary, compression="zstd")


def read_shard(path: Path, table: str) -> pa.Table:
    """Read a shard and check that it belongs to this version of the table called `table`."""
    with reading(path, "start `snakemake` again, which writes it anew"):
        data = pq.read_table(path)
    check_origin(SHARDED[table].shard, data.schema, path)
    return conform(SHARDED[table].shard, data)


def check_origin(table: Table, schema: pa.Schema, path: Path) -> None:
    """Raise TableError unless `schema`, read from `path`, names `table` in this version."""
    metadata = schema.metadata or {}
    found = tuple(
        metadata.get(key, b"").decode(errors="replace") for key in (b"table", b"schema_version")
    )
    if found != (table.name, SCHEMA_VERSION):
        raise TableError(
            f"{path}: holds table {found[0] or '(none)'} of schema version {found[1] or '(none)'}, "
            f"not {table.name} {SCHEMA_VERSION}; let its stage write it again"
        )
