"""Cohort sheets: TSV, CSV or Parquet with one row per scan."""

import json
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from columna.cohort.candidates import FACTS, NAMES, OK, OUTCOME, leave_out
from columna.cohort.delimited import read_delimited
from columna.cohort.row_checks import check_rows
from columna.errors import CohortError
from columna.paths import expanded
from columna.prepare.pointers import file_pointer_reason
from columna.results.given_levels import LEVEL_COLUMNS
from columna.results.manifest import MASKS, REFERENCES
from columna.results.names import CONTROL, MISSING

REQUIRED = ("participant_id", "path")
RESERVED = (*OUTCOME, "batch", FACTS)
DELIMITERS = {".tsv": "\t", ".csv": ","}
ENDING = r"(?i)(\.nii(\.gz)?|\.[^.]*)$"

log = logging.getLogger(__name__)


def read_sheet(
    path: Path, known: Collection[str] = (), *, paired_masks: bool = True
) -> pd.DataFrame:
    """Read and check a cohort sheet.

    Parameters
    ----------
    path
        A ``.tsv``, ``.csv`` or ``.parquet`` file. ``participant_id`` and ``path`` are required;
        ``session_id`` may be absent; ``scan_id`` is the file's name without ending where it is
        not given. ``semantic`` and ``instance`` name masks of the scan that exist already,
        ``reference_semantic`` and ``reference_instance`` those that its masks are evaluated
        against, whose labels ``reference_convention`` explains; ``lowest_level``,
        ``highest_level`` and ``anchor`` give levels (`columna.results.given_levels`).
        Relative paths count from the sheet's folder, ``~`` and variables of the environment are
        replaced. More columns are kept.
    known
        Scans that have a batch already (`columna.cohort.row_checks.check_duplicates`).
    paired_masks
        Leave out rows that name one mask without the other.

    Returns
    -------
    pandas.DataFrame
        One row per row of the sheet, in its order (`columna.cohort.candidates`); all values are
        text.

    Raises
    ------
    CohortError
        If the file cannot be read, or lacks a column.
    """
    path = Path(path)
    rows, problems = read_table(path)
    _check_columns(rows, path)
    rows = _completed(rows)
    problems = _located(rows, path.parent) | problems
    for index, reason in problems.items():
        leave_out(rows, rows.index == index, "bad_row", reason)
    check_rows(rows, known, paired_masks=paired_masks)
    return rows


def read_table(path: Path) -> tuple[pd.DataFrame, dict[int, str]]:
    """Read a TSV, CSV or Parquet file as text.

    Returns
    -------
    rows : pandas.DataFrame
        One row per row of the file.
    problems : dict
        Row -> what is wrong with it: too few or too many fields.

    Raises
    ------
    CohortError
        If the file is missing or cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        pointer = file_pointer_reason(path)
        if pointer is not None:
            raise CohortError(f"{path}: {pointer}")
        if suffix == ".parquet":
            return _read_parquet(path), {}
        if suffix in DELIMITERS:
            return _read_text(path, DELIMITERS[suffix])
    except FileNotFoundError as error:
        raise CohortError(f"{path}: no such cohort sheet") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CohortError(f"{path}: the cohort sheet cannot be read: {error}") from error
    raise CohortError(f"{path}: a cohort sheet ends in .tsv, .csv or .parquet")


def _read_text(path: Path, delimiter: str) -> tuple[pd.DataFrame, dict[int, str]]:
    header, fields, lines = read_delimited(path, delimiter)
    names = [name or f"column_{place}" for place, name in enumerate(header, start=1)]
    width = len(names)
    if fields and all(len(row) != width for row in fields):
        raise CohortError(
            f"{path}: line {lines[0]} has {len(fields[0])} fields, the header has {width}, and no "
            "other row fits the header; is the separator right, and does every column have a name?"
        )
    problems = {
        index: f"Line {lines[index]} has {len(row)} fields, the header has {width}."
        for index, row in enumerate(fields)
        if len(row) != width
    }
    for index in problems:
        fields[index] = (fields[index] + [""] * width)[:width]
    return pd.DataFrame(fields, columns=names, dtype=object), problems


def _read_parquet(path: Path) -> pd.DataFrame:
    """Every column as text: numbers as Arrow writes them, dates as ISO 8601, nested as JSON."""
    # checksums of pages are an option of the format; where there are any, damage is noticed
    table = pq.ParquetFile(path, page_checksum_verification=True).read()
    text = [_as_text(column) for column in table.columns]
    return pa.table(text, names=table.column_names).to_pandas()


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # lists, structures, bytes that are no text
        values = (None if value is None else _json(value) for value in column.to_pylist())
        return pa.array(values, pa.string())


def _json(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, default=lambda v: v.hex() if isinstance(v, bytes) else str(v))


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
            found = ", ".join(map(repr, columns)) or "nothing"
            raise CohortError(
                f"{path}: the cohort sheet {problem} {', '.join(map(repr, names))} "
                f"(line 1, the header, has {found})"
            )


def _completed(rows: pd.DataFrame) -> pd.DataFrame:
    """All columns, in order, with None where there is no value, and a scan_id for every path."""
    extra = [c for c in rows.columns if c not in NAMES]
    rows = rows.reindex(columns=[*NAMES, *extra]).astype(object)
    given = (*MASKS, *REFERENCES, "reference_convention", *LEVEL_COLUMNS)
    for column in (*NAMES, *_present(rows, given)):
        rows[column] = rows[column].str.strip()
        rows[column] = rows[column].mask(rows[column].str.lower().isin(MISSING))
    for column in ("participant_id", "session_id"):  # an accented letter may be one sign or two
        rows[column] = rows[column].str.normalize("NFC")
    names = rows["path"].str.rsplit("/", n=1).str[-1].str.replace(ENDING, "", regex=True)
    rows["scan_id"] = rows["scan_id"].where(rows["scan_id"].notna(), names)
    for position, column in enumerate(OUTCOME):
        rows.insert(len(NAMES) + position, column, OK if column == "input_status" else None)
    rows = rows.astype(object)
    return rows.mask(rows.isna() | (rows == ""), None)


def _present(rows: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    return [column for column in columns if column in rows]


def _located(rows: pd.DataFrame, folder: Path) -> dict[int, str]:
    """Let the paths of `rows` count from `folder`; what is wrong with those that cannot."""
    problems: dict[int, str] = {}
    for column in _present(rows, (*REFERENCES, "reference_convention")):
        # a reference that cannot be is no reason to leave out its scan: evaluate says so
        rows[column] = rows[column].str.replace(CONTROL, "?", regex=True)
    for column in ("path", *_present(rows, (*MASKS, *REFERENCES))):
        given = rows[column].dropna()
        special = given[given.str.startswith("~") | given.str.contains("$", regex=False)]
        for index, text in zip(special.index.tolist(), special, strict=True):
            try:
                rows.loc[index, column] = _expanded(text, folder)
            except ValueError as error:
                if column in REFERENCES:
                    continue
                problems[index] = f"In the column {column}, {error}."
        if folder != Path():
            relative = rows[column].str.startswith("/").eq(False)
            rows[column] = rows[column].mask(relative, f"{folder}/" + rows[column])
    return problems


def _expanded(text: str, folder: Path) -> str:
    """Expand `text`, unless there is a file that is really called so."""
    return text if os.path.lexists(folder / text) else expanded(text)
