"""The delivered tables, read back: checked before anything is made of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from columna.errors import TableError
from columna.parquet import reading
from columna.tables.catalogue import ADDED, OPTIONAL, TABLES
from columna.tables.participants import PARTICIPANTS
from columna.tables.schema import Column, Table

REMEDY = "start `snakemake` again, which writes it anew"


BESIDE = {**OPTIONAL, **ADDED}
"""Tables that some runs have."""


def delivered_names(tables: Path) -> list[str]:
    """Tables that every run has, and those of the others that lie in the folder `tables`."""
    return [*TABLES, *(name for name in BESIDE if (tables / f"{name}.parquet").is_file())]


def delivered_table(tables: Path, name: str) -> tuple[Table, Path]:
    """Declaration and file of a delivered table.

    Parameters
    ----------
    tables
        Folder of the collected tables.
    name
        Which table.

    Raises
    ------
    TableError
        If there is no table of this name, if it has not been collected, or if the file is damaged
        or comes from another version of columna.
    """
    known = {**TABLES, **BESIDE}
    if name not in known:
        raise TableError(f"no table is called {name!r}; there are {', '.join(known)}")
    file = tables / f"{name}.parquet"
    if not file.is_file():
        raise TableError(
            f"{file} does not exist: has `snakemake` finished, and is this the results folder?"
        )
    with reading(file, REMEDY):
        present = pq.read_schema(file).names
    if missing := [column for column in known[name].names if column not in present]:
        raise TableError(
            f"{file} has no column {missing[0]!r}: it is damaged or of another version; {REMEDY}"
        )
    return as_delivered(known[name], file), file


def as_delivered(table: Table, file: Path) -> Table:
    """The declaration of `table` with all columns of its delivered `file`."""
    if table.name != PARTICIPANTS.name:
        return table
    own = [
        own_column(f.name, "float64" if f.type == pa.float64() else "string", _text_of(f))
        for f in pq.read_schema(file)
        if f.name not in table.names
    ]
    return replace(table, columns=(*table.columns, *own))


def own_column(name: str, kind: Any, description: str) -> Column:
    """Declare a column that the cohort brought along."""
    return Column(
        name,
        kind,
        description,
        null_rule="the cohort does not say",
        source="cohort",
        since_version="1.2.0",
    )


def _text_of(field: pa.Field) -> str:
    return (field.metadata or {}).get(b"description", b"").decode()
