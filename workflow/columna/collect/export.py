"""Tables in formats for programs without Parquet: CSV (gzip) and Stata."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from columna.collect.dictionary import data_package
from columna.collect.own_columns import as_delivered
from columna.errors import TableError
from columna.files import atomic_path, write_json
from columna.tables.catalogue import TABLES
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
        If a table is unknown or has not been collected.
    """
    chosen = _chosen(tables, names)
    written = []
    for table in chosen:
        source = str(_source(tables, table)).replace("'", "''")
        with atomic_path(out / f"{table.name}.csv.gz") as temporary:
            target = str(temporary).replace("'", "''")
            duckdb.connect(config={"threads": 1}).execute(
                f"COPY (FROM read_parquet('{source}')) TO '{target}' "
                "(FORMAT csv, HEADER, COMPRESSION gzip)"
            )
        written.append(out / f"{table.name}.csv.gz")
    package = data_package(chosen, _provenance(tables, chosen[0]), "csv.gz")
    write_json(out / "datapackage.json", package)
    return written


def export_stata(tables: Path, out: Path, names: Iterable[str] = TABLES) -> list[Path]:
    """Write tables as Stata files (``.dta``, version 118: Stata 14 and later).

    Variables bear the beginning of their description as label, categories are numbers with value
    labels, missing numbers are ``.`` and missing texts empty. One table is in memory at a time.

    Parameters, errors: as `export_csv`.
    """
    written = []
    for table in _chosen(tables, names):
        frame = pq.read_table(_source(tables, table)).to_pandas(strings_to_categorical=False)
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


def _chosen(tables: Path, names: Iterable[str]) -> list[Table]:
    chosen = []
    for name in names:
        if name not in TABLES:
            raise TableError(f"no table is called {name!r}; there are {', '.join(TABLES)}")
        if not _source(tables, TABLES[name]).exists():
            raise TableError(f"{_source(tables, TABLES[name])} does not exist: collect first")
        chosen.append(as_delivered(TABLES[name], _source(tables, TABLES[name])))
    return chosen


def _source(tables: Path, table: Table) -> Path:
    return tables / f"{table.name}.parquet"


def _provenance(tables: Path, table: Table) -> dict[str, str]:
    metadata = pq.read_schema(_source(tables, table)).metadata or {}
    known = ("pipeline_version", "config_sha256")
    return {key: metadata[key.encode()].decode() for key in known if key.encode() in metadata}


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
