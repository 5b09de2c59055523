"""Tables in formats for programs without Parquet: CSV (gzip) and Stata."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from columna.collect.dictionary import data_package
from columna.errors import TableError
from columna.files import atomic_path, write_json
from columna.parquet import reading
from columna.tables.catalogue import TABLES
from columna.tables.delivered import REMEDY, delivered_table
from columna.tables.schema import Column, Table

LABEL_LENGTH = 80
"""Characters that Stata keeps of a variable's label."""
STATA_INTEGERS: dict[str, Literal["Int8", "Int32"]] = {"bool": "Int8", "int32": "Int32"}
"""Types with room for missing values, which Stata shows as a point."""


def export_csv(tables: Path, out: Path, names: Iterable[str] = TABLES) -> list[Path]:
    """Write tables as gzipped CSV, with a ``datapackage.json`` that describes them.

    Missing values are empty fields. Rows are streamed: tables of any size need little memory.

    Parameters
    ----------
    tables
        Folder of the collected tables.
    out
        Folder to write to.
    names
        Tables to export.

    Raises
    ------
    TableError
        If a table is unknown, has not been collected or is damaged, or `out` is `tables`.
    """
    chosen = _chosen(tables, out, names)
    written = []
    for table, file in chosen:
        source = str(file).replace("'", "''")
        target_file = out / f"{table.name}.csv.gz"
        with atomic_path(target_file) as temporary, _exporting(file, target_file):
            target = str(temporary).replace("'", "''")
            duckdb.connect(config={"threads": 1}).execute(
                f"COPY (FROM read_parquet('{source}')) TO '{target}' "
                "(FORMAT csv, HEADER, COMPRESSION gzip)"
            )
        written.append(target_file)
    package = data_package([table for table, _ in chosen], _provenance(chosen[0][1]), "csv.gz")
    write_json(out / "datapackage.json", package)
    return written


def export_stata(tables: Path, out: Path, names: Iterable[str] = TABLES) -> list[Path]:
    """Write tables as Stata files (``.dta``, version 118: Stata 14 and later).

    Variables bear the beginning of their description as label, categories are numbers with value
    labels, missing numbers are ``.`` and missing texts empty. One table is in memory at a time.

    Parameters, errors: as `export_csv`.
    """
    written = []
    for table, file in _chosen(tables, out, names):
        with _exporting(file, out / f"{table.name}.dta"):
            frame = pq.read_table(file).to_pandas(strings_to_categorical=False)
        frame = pd.DataFrame({c.name: _stata_values(c, frame[c.name]) for c in table})
        with atomic_path(out / f"{table.name}.dta") as temporary:
            frame.to_stata(
                temporary,
                version=118,
                write_index=False,
                data_label=table.title,
                variable_labels={c.name: _label(c) for c in table},
                convert_strl=[c.name for c in table if _is_long(c, frame)],
                time_stamp=pd.Timestamp(2000, 1, 1).to_pydatetime(),
            )
        written.append(out / f"{table.name}.dta")
    return written


def _chosen(tables: Path, out: Path, names: Iterable[str]) -> list[tuple[Table, Path]]:
    chosen = [delivered_table(tables, name) for name in names]
    if tables.resolve() == out.resolve():
        raise TableError(f"{out} holds the tables themselves: export to another folder")
    return chosen


def _exporting(file: Path, target: Path) -> AbstractContextManager[None]:
    return reading(file, REMEDY, what=f"cannot be exported to {target}")


def _provenance(file: Path) -> dict[str, str]:
    metadata = pq.read_schema(file).metadata or {}
    known = ("pipeline_version", "config_sha256")
    return {
        key: metadata[key.encode()].decode(errors="replace")
        for key in known
        if key.encode() in metadata
    }


def _stata_values(column: Column, values: pd.Series) -> pd.Series:
    if column.type in STATA_INTEGERS:
        return values.astype("boolean" if column.type == "bool" else "Int32").astype(
            STATA_INTEGERS[column.type]
        )
    if column.type == "category" and len(values):
        return values
    # pandas cannot write the value labels of a table without rows
    return values if column.type == "float64" else values.astype(object).fillna("")


def _label(column: Column) -> str:
    text = column.description.rstrip(".")
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 3]}..."


def _is_long(column: Column, frame: pd.DataFrame) -> bool:
    """Whether a text has more bytes than a Stata string of fixed length holds."""
    if column.type != "string":
        return False
    return bool((frame[column.name].map(lambda text: len(text.encode())) > 2045).any())
