"""Parquet files of our own, which anything may have happened to since they were written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from columna.errors import ColumnaError, TableError


@contextmanager
def reading(
    path: Path, remedy: str, kind: type[ColumnaError] = TableError, what: str = "is damaged"
) -> Iterator[None]:
    """Tell of a file that cannot be read in one sentence.

    Parameters
    ----------
    path
        The file that is read within.
    remedy
        What to do, as the end of a sentence.
    kind
        The error to raise.
    what
        What has to be said of the file.

    Raises
    ------
    ColumnaError
        Of `kind`, for content that cannot be read. What the system says of the file (absent,
        forbidden) stays as it is.
    """
    try:
        yield
    except (pa.ArrowException, duckdb.Error, OSError, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise kind(f"{path} {what} ({first}): {remedy}") from error


def read_own(
    path: Path,
    columns: Sequence[str],
    remedy: str,
    kind: type[ColumnaError] = TableError,
    *,
    only: bool = False,
) -> pa.Table:
    """Read a Parquet file that columna wrote.

    Parameters
    ----------
    path, remedy, kind
        As in `reading`.
    columns
        What it must hold.
    only
        Read nothing but these.

    Raises
    ------
    ColumnaError
        Of `kind`, if it is damaged or lacks a column.
    OSError
        If it is absent, or may not be read.
    """
    with reading(path, remedy, kind):
        data = pq.read_table(path, columns=list(columns) if only else None)
        data.validate(full=True)
    if missing := [name for name in columns if name not in data.column_names]:
        raise kind(f"{path} is damaged (it lacks the column {missing[0]}): {remedy}")
    return data
