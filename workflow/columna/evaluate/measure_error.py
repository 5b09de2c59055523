"""Error of measures: tables measured on predictions against tables measured on references.

The same code compares two scans of one participant (test and retest).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from columna.cohort.sheet import read_table
from columna.errors import ColumnaError
from columna.evaluate.agreement import Agreement, Icc, agreement
from columna.evaluate.bland_altman import save_bland_altman
from columna.tables.catalogue import TABLES
from columna.tables.schema import Column

IDENTITY: dict[str, tuple[str, ...]] = {
    "vertebrae": ("level",),
    "endplates": ("level", "side"),
    "discs": ("level_upper",),
    "cord_canal": ("level", "site"),
    "spine": (),
}
"""Table -> columns that, with the scan, say which thing a row measures."""
NO_MEASURES = (
    "level_order",
    "vertebra",
    "disc",
    "spineps_label",
    "index_from_top",
    "review_position",
)
EVERYWHERE = "all"

MeasuredRows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table of measures -> rows."""


def read_retests(sheet: Path) -> dict[str, str]:
    """Scan -> scan of the same participant that it is compared with.

    Parameters
    ----------
    sheet
        Table with the columns ``scan_id`` and ``retest_scan_id``; rows without the second count
        for nothing.

    Raises
    ------
    ColumnaError
        If the sheet cannot be read, lacks a column or names no pair.
    """
    rows, _ = read_table(sheet)
    missing = sorted({"scan_id", "retest_scan_id"} - set(rows.columns))
    if missing:
        raise ColumnaError(f"{sheet}: lacks the column {', '.join(missing)}")
    named = rows[rows["retest_scan_id"].fillna("").str.strip() != ""]
    if named.empty:
        raise ColumnaError(f"{sheet}: names no retest_scan_id")
    return dict(zip(named["scan_id"], named["retest_scan_id"].str.strip(), strict=True))


def measure_errors(
    tables: Path, reference_tables: Path, retests: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Agreement of every numeric column of the tables of measures.

    Parameters
    ----------
    tables
        Folder of Parquet tables: measured on the predictions, or on the first scans.
    reference_tables
        Measured on the reference masks, or on the second scans; may be the same folder.
    retests
        Scan -> its retest scan in `reference_tables`; none: the scan of the same name.

    Yields
    ------
    dict
        Rows of the table ``agreement``: bias is `tables` minus `reference_tables`. Rows that have
        no level in one of the two are not compared.

    Raises
    ------
    ColumnaError
        If a folder has none of the tables, or they have no scan in common.
    """
    compared_n = 0
    for name, identity in IDENTITY.items():
        paths = [folder / f"{name}.parquet" for folder in (tables, reference_tables)]
        if not all(path.exists() for path in paths):
            continue
        pairs = _paired(paths, identity, retests)
        compared_n += len(pairs)
        yield from _columns(name, pairs)
    if not compared_n:
        raise ColumnaError(
            f"{tables} and {reference_tables} have no table of measures with a scan and a level in "
            "common; name two folders of tables of the same scans"
        )


def errors_of_rows(found: MeasuredRows, true: MeasuredRows) -> Iterator[dict[str, Any]]:
    """Agreement of measures in memory; as `measure_errors`.

    Parameters
    ----------
    found, true
        Table -> rows, of any number of scans.
    """
    for name, identity in IDENTITY.items():
        sides = [
            _with_identity(pd.DataFrame(rows.get(name, [])), identity) for rows in (found, true)
        ]
        if all(len(side) for side in sides):
            pairs = sides[1].merge(sides[0], on=["scan_id", *identity], suffixes=("", "_found"))
            yield from _columns(name, pairs)


def draw(
    tables: Path,
    reference_tables: Path,
    columns: Sequence[str],
    folder: Path,
    retests: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """Draw a Bland-Altman figure of each of `columns` (``table.column``) into `folder`.

    Raises
    ------
    ColumnaError
        If there is no such column of measures.
    """
    for wanted in columns:
        name, _, column = wanted.partition(".")
        if name not in IDENTITY or column not in TABLES[name].names:
            raise ColumnaError(f"{wanted}: is no column; name one as vertebrae.height_anterior_mm")
        paths = [folder / f"{name}.parquet" for folder in (tables, reference_tables)]
        pairs = _paired(paths, IDENTITY[name], retests)
        reference, found = (pairs[key].to_numpy(float) for key in (column, f"{column}_found"))
        path = folder / f"{name}-{column}.png"
        if save_bland_altman(reference, found, f"{name}: {column}", path):
            yield path


def _paired(
    paths: Sequence[Path], identity: tuple[str, ...], retests: Mapping[str, str] | None
) -> pd.DataFrame:
    found, true = (_read(path, identity) for path in paths)
    if retests is not None:
        found = found[found["scan_id"].isin(retests.keys())]
        found = found.assign(scan_id=found["scan_id"].map(retests))
    return true.merge(found, on=["scan_id", *identity], suffixes=("", "_found"))


def _read(path: Path, identity: tuple[str, ...]) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ColumnaError(f"{path}: cannot be read as a table of columna: {error}") from error
    missing = sorted({"scan_id", *identity} - set(rows.columns))
    if missing:
        raise ColumnaError(f"{path}: is no table of columna, it lacks {', '.join(missing)}")
    return _with_identity(rows, identity)


def _with_identity(rows: pd.DataFrame, identity: tuple[str, ...]) -> pd.DataFrame:
    """Rows that say which thing they measure, and no two of one thing."""
    if rows.empty:
        return rows
    rows = rows.astype(dict.fromkeys(("scan_id", *identity), "object"))
    return rows.dropna(subset=list(identity)).drop_duplicates(["scan_id", *identity], keep=False)


def value_pairs(name: str, pairs: pd.DataFrame) -> Iterator[tuple[Column, str, pd.DataFrame]]:
    """Every numeric column of the table `name`, in every region that occurs and in all.

    Parameters
    ----------
    pairs
        Rows with all columns twice, the second time with the suffix ``_found``.

    Yields
    ------
    Column, str, DataFrame
        Column, region, and its rows, with the float columns ``true`` and ``found``; columns
        without any value in a region are left out.
    """
    regions = pairs["region"].astype(object) if "region" in pairs else None
    groups: dict[str, Any] = {EVERYWHERE: slice(None)}
    if regions is not None:
        groups |= {str(region): regions == region for region in sorted(regions.dropna().unique())}
    for column in TABLES[name].columns:
        if column.type not in ("float64", "int32") or column.name in NO_MEASURES:
            continue
        if column.name not in pairs or f"{column.name}_found" not in pairs:
            continue
        both = pairs.assign(
            true=pairs[column.name].astype(float), found=pairs[f"{column.name}_found"].astype(float)
        )
        for region, chosen in groups.items():
            part = both.loc[chosen]
            if part["true"].notna().any() or part["found"].notna().any():
                yield column, region, part


def _columns(name: str, pairs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for column, region, part in value_pairs(name, pairs):
        true, found = part["true"], part["found"]
        yield {
            "table": name,
            "column": column.name,
            "unit": column.unit,
            "region": region,
            "rows_n": len(true),
            "null_reference_ratio": float((true.isna() & found.notna()).mean()),
            "null_prediction_ratio": float((found.isna() & true.notna()).mean()),
            **_numbers(agreement(true, found)),
        }


def _numbers(found: Agreement | None) -> dict[str, Any]:
    if found is None:
        return {"values_n": 0}
    return {
        "values_n": found.n,
        "bias": found.bias,
        "bias_low": found.bias_low,
        "bias_high": found.bias_high,
        "sd_difference": found.sd_difference,
        "limit_low": found.limit_low,
        "limit_high": found.limit_high,
        "smallest_change": found.smallest_detectable_change,
        **_icc("icc_agreement", found.icc_agreement),
        **_icc("icc_consistency", found.icc_consistency),
        "bias_slope": found.bias_slope,
    }


def _icc(name: str, icc: Icc | None) -> dict[str, Any]:
    if icc is None:
        return {}
    return {name: icc.value, f"{name}_low": icc.low, f"{name}_high": icc.high}
