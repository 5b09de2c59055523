"""Who is compared with whom: sex and age group of each scan, site and batch, by the cohort index.

Only columns that the configuration lets through (``participant_columns``) are looked at.
"""

import re
from collections.abc import Iterable, Mapping

import pyarrow as pa

from columna.tables.schema import Table

SEX, AGE, SITE = ("sex", "gender"), ("age", "age_years"), ("site", "center", "centre")
"""Names of columns of the cohort, the first one that it has counts."""
SEXES = {"f": "female", "w": "female", "woman": "female", "m": "male", "man": "male"}
"""Other words for the same; codes of a cohort's own stay as they are."""
AGES = ((0, 17), (18, 39), (40, 59), (60, 79), (80, 120))
"""Age groups, in years."""
_AGE = re.compile(r"0*(\d+(?:\.\d+)?)\s*(?:y|years|\+)?", re.IGNORECASE)


def scan_groups(index: pa.Table, participants: Table, rows: pa.Table) -> pa.Table:
    """Groups that each scan belongs to; NULL where the cohort does not say.

    Parameters
    ----------
    index
        The cohort index; its column ``batch`` counts where it has one.
    participants, rows
        The table `participants` and its rows, in any order.

    Returns
    -------
    pa.Table
        Columns scan_id, stratum (sex and age group; NULL unless both are known), site, batch.
    """
    columns = {c.name: rows[c.name].to_pylist() for c in participants}
    sexes = [sex_of(value) for value in _first(columns, SEX, rows.num_rows)]
    ages = [age_group(value) for value in _first(columns, AGE, rows.num_rows)]
    sites = [None if v is None else str(v) for v in _first(columns, SITE, rows.num_rows)]
    batch_of: dict[str | None, str | None] = {}
    if "batch" in index.column_names:
        names, batches = index["scan_id"].to_pylist(), index["batch"].to_pylist()
        batch_of.update(zip(names, batches, strict=True))
    return pa.table(
        {
            "scan_id": pa.array(columns["scan_id"], pa.string()),
            "stratum": pa.array(
                [f"{s}, {a}" if s and a else None for s, a in zip(sexes, ages, strict=True)],
                pa.string(),
            ),
            "site": pa.array(sites, pa.string()),
            "batch": pa.array([batch_of.get(name) for name in columns["scan_id"]], pa.string()),
        }
    )


def sex_of(value: object) -> str | None:
    """Sex as one word, however it is written."""
    text = "" if value is None else str(value).strip().lower()
    return SEXES.get(text, text) or None


def age_group(value: object) -> str | None:
    """Group of an age in years: a number, or text such as ``45``, ``045Y`` or ``90+``."""
    found = _AGE.fullmatch("" if value is None else str(value).strip())
    if found is None:
        return None
    years = int(float(found[1]))
    for low, high in AGES:
        if low <= years <= high:
            return f"{low} to {high} years"
    return None


def _first(columns: Mapping[str, list[object]], names: Iterable[str], count: int) -> list[object]:
    """Values of the first of the columns that is there."""
    return next((columns[name] for name in names if name in columns), [None] * count)
