"""The delivered tables, read back: checked before anything is made of them."""

from pathlib import Path

import pyarrow.parquet as pq

from columna.errors import TableError
from columna.parquet import reading
from columna.tables.catalogue import TABLES
from columna.tables.participants import as_delivered
from columna.tables.schema import Table

REMEDY = "start `snakemake` again, which writes it anew"


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
    if name not in TABLES:
        raise TableError(f"no table is called {name!r}; there are {', '.join(TABLES)}")
    file = tables / f"{name}.parquet"
    if not file.is_file():
        raise TableError(
            f"{file} does not exist: has `snakemake` finished, and is this the results folder?"
        )
    with reading(file, REMEDY):
        present = pq.read_schema(file).names
    if missing := [column for column in TABLES[name].names if column not in present]:
        raise TableError(
            f"{file} has no column {missing[0]!r}: it is damaged or of another version; {REMEDY}"
        )
    return as_delivered(TABLES[name], file), file
