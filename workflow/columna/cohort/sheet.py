"""Cohort sheets: TSV, CSV or Parquet with one row per scan."""

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from columna.cohort.checks import check_rows
from columna.cohort.manifest import MASKS
from columna.cohort.rows import NAMES, OK, OUTCOME, leave_out
from columna.errors import CohortError
from columna.files import open_regular

REQUIRED = ("participant_id", "path")
RESERVED = (*OUTCOME, "batch")
MISSING = ("", "n/a", "N/A")
"""What counts as no value; n/a is BIDS's word."""
ENDING = r"(?i)(\.nii(\.gz)?|\.[^.]*)$"


def read_sheet(path: Path, *, paired_masks: bool = True) -> pd.DataFrame:
    """Read and check a cohort sheet.

    Parameters
    ----------
    path
        A ``.tsv``, ``.csv`` or ``.parquet`` file. ``participant_id`` and ``path`` are required;
        ``session_id`` may be absent; ``scan_id`` is the file's name without ending where it is
        not given. ``semantic`` and ``instance`` name masks of the scan that exist already.
        Relative paths count from the sheet's folder. More columns are kept.
    paired_masks
        Leave out rows that name one mask without the other.

    Returns
    -------
    pandas.DataFrame
        One row per row of the sheet, in its order (`columna.cohort.rows`); all values are text.

    Raises
    ------
    CohortError
        If the file cannot be read, or lacks a column.
    """
    path = Path(path)
    rows, ragged = _read(path)
    _check_columns(rows, path)
    rows = _completed(rows, path.parent)
    for index, fields_n in ragged.items():
        reason = f"The row has {fields_n} fields, the header another number."
        leave_out(rows, rows.index == index, "bad_row", reason)
    check_rows(rows, paired_masks=paired_masks)
    return rows


def _read(path: Path) -> tuple[pd.DataFrame, dict[int, int]]:
    """Read the sheet as text, and the number of fields of rows that have too few or too many."""
    readers = {".tsv": "\t", ".csv": ","}
    suffix = path.suffix.lower()
    try:
        open_regular(path).close()  # reading a pipe would wait for ever
        if suffix == ".parquet":
            return _read_parquet(path), {}
        if suffix in readers:
            return _read_text(path, readers[suffix])
    except FileNotFoundError as error:
        raise CohortError(f"{path}: no such cohort sheet") from error
    except UnicodeDecodeError as error:
        raise CohortError(f"{path}: not UTF-8 text; save the sheet as UTF-8") from error
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise CohortError(f"{path}: the cohort sheet cannot be read: {error}") from error
    raise CohortError(f"{path}: a cohort sheet ends in .tsv, .csv or .parquet")


def _read_text(path: Path, delimiter: str) -> tuple[pd.DataFrame, dict[int, int]]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        header = next(reader, [])
        fields = [row for row in reader if row]
    width = len(header)
    ragged = {index: len(row) for index, row in enumerate(fields) if len(row) != width}
    for index, fields_n in ragged.items():
        fields[index] = (fields[index] + [""] * width)[: max(width, fields_n)][:width]
    return pd.DataFrame(fields, columns=header, dtype=object), ragged


def _read_parquet(path: Path) -> pd.DataFrame:
    """Every column as text: numbers as Arrow writes them, dates as ISO 8601."""
    table = pq.ParquetFile(path).read()
    text = [column.cast(pa.string()) for column in table.columns]
    return pa.table(text, names=table.column_names).to_pandas()


def _check_columns(rows: pd.DataFrame, path: Path) -> None:
    columns = list(rows.columns)
    problems = {
        "lacks the required column": [c for c in REQUIRED if c not in columns],
        "has more than one column": sorted({c for c in columns if columns.count(c) > 1}),
        "has a column that columna itself writes; rename or drop": [
            c for c in RESERVED if c in columns
        ],
    }
    for problem, names in problems.items():
        if names:
            raise CohortError(f"{path}: the cohort sheet {problem} {', '.join(map(repr, names))}")


def _completed(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """All columns, in order, with None where there is no value and paths from `folder` on."""
    extra = [c for c in rows.columns if c not in NAMES]
    rows = rows.reindex(columns=[*NAMES, *extra]).astype(object)
    for column in ("participant_id", "session_id", "scan_id"):
        rows[column] = rows[column].str.strip()
    files = ["path", *(column for column in MASKS if column in extra)]
    for column in {*NAMES, *files}:
        rows[column] = rows[column].mask(rows[column].isin(MISSING))
    names = rows["path"].str.rsplit("/", n=1).str[-1].str.replace(ENDING, "", regex=True)
    rows["scan_id"] = rows["scan_id"].where(rows["scan_id"].notna(), names)
    for column in files if folder != Path() else ():
        relative = rows[column].str.startswith("/").eq(False)
        rows[column] = rows[column].mask(relative, f"{folder}/" + rows[column])
    for position, column in enumerate(OUTCOME):
        rows.insert(len(NAMES) + position, column, OK if column == "input_status" else None)
    rows = rows.astype(object)
    return rows.mask(rows.isna() | (rows == ""), None)
