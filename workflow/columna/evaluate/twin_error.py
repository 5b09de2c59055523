"""From measured twins to the expected error of every column."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from columna.evaluate.agreement import agreement
from columna.evaluate.measure_error import IDENTITY, value_pairs
from columna.evaluate.twins import KEYS, Twin
from columna.tables.measurement_error import LEAST_SLICE_MM

FEWEST = 20
"""Values below which nothing is estimated."""
EVERY_SLICE = "all"

Spread = dict[tuple[str, str, str, str], float]
"""Table, column, region and thickness of slices -> standard deviation in the cohort."""


def slice_class(slice_mm: float) -> str:
    """The class of a thickness of slices."""
    return [name for name, least in LEAST_SLICE_MM.items() if slice_mm >= least][-1]


def measurement_errors(twins: Iterable[Twin], tables: Path) -> Iterator[dict[str, Any]]:
    """Expected error of every numeric column of the tables of measures.

    Rows of vertebrae that were found under another name are left out: what they measure is right
    or wrong, but not of this level. Twins in which a name is wrong do not count for the table
    ``spine``.

    Parameters
    ----------
    twins
        Measured twins.
    tables
        Folder of the cohort's tables, for the spread of its own values.

    Yields
    ------
    dict
        Rows of the table ``measurement_error``.
    """
    done = [twin for twin in twins if twin["status"] == "done"]
    spread = cohort_spread(tables)
    for name, identity in IDENTITY.items():
        pairs = [_pairs(twin, name, identity) for twin in done]
        pairs = [rows for rows in pairs if len(rows)]
        if not pairs:
            continue
        for column, region, part in value_pairs(name, pd.concat(pairs, ignore_index=True)):
            for slices in (EVERY_SLICE, *LEAST_SLICE_MM):
                chosen = part if slices == EVERY_SLICE else part[part["slices"] == slices]
                if chosen["true"].notna().any():
                    key = (name, column.name, region, slices)
                    yield {
                        "table": name,
                        "column": column.name,
                        "unit": column.unit,
                        "region": region,
                        "slices": slices,
                        **_errors(chosen, spread.get(key)),
                    }


def cohort_spread(tables: Path) -> Spread:
    """Standard deviation of every column of a cohort, where it has at least 20 values."""
    scans = tables / "scans.parquet"
    if not scans.exists():
        return {}
    thickness = pd.read_parquet(scans, columns=["scan_id", "spacing_lr_mm"]).dropna()
    classes = dict(
        zip(thickness["scan_id"], map(slice_class, thickness["spacing_lr_mm"]), strict=True)
    )
    spread: Spread = {}
    for name in IDENTITY:
        path = tables / f"{name}.parquet"
        if not path.exists():
            continue
        rows = pd.read_parquet(path)
        rows["slices"] = rows["scan_id"].astype(object).map(classes)
        doubled = rows.join(rows.add_suffix("_found"))
        for column, region, part in value_pairs(name, doubled):
            for slices in (EVERY_SLICE, *LEAST_SLICE_MM):
                chosen = part if slices == EVERY_SLICE else part[part["slices"] == slices]
                values = chosen["true"].dropna()
                if len(values) >= FEWEST:
                    spread[name, column.name, region, slices] = float(values.std(ddof=1))
    return spread


def _pairs(twin: Twin, name: str, identity: tuple[str, ...]) -> pd.DataFrame:
    """True rows of a table with what was found, of vertebrae that carry their name."""
    true, found = (pd.DataFrame(twin[side].get(name, [])) for side in ("true", "found"))
    if true.empty or found.empty or (not identity and twin["wrong_n"]):
        return pd.DataFrame()
    for key in set(identity) & set(KEYS):
        true = true[true[key].isin(twin["right"])]
        found = found[found[key].isin(twin["right"])]
    on = ["scan_id", *identity]
    pairs = true.merge(found, on=on, suffixes=("", "_found"), how="left")
    # of one type, since a column may be empty in one twin
    return pairs.assign(slices=slice_class(twin["slice_mm"])).astype(object)


def _errors(part: pd.DataFrame, cohort_sd: float | None) -> dict[str, Any]:
    """Numbers of one row of the table; NULL with fewer than 20 values."""
    known = part.dropna(subset=["true", "found"])
    true, found = (known[side].to_numpy(float) for side in ("true", "found"))
    counts = {"twins_n": known["scan_id"].nunique(), "values_n": len(known)}
    agreed = agreement(true, found)
    if len(known) < FEWEST or agreed is None:
        return counts
    error = found - true
    numbers = {
        "null_ratio": float(part.loc[part["true"].notna(), "found"].isna().mean()),
        "bias": agreed.bias,
        "error_sd": agreed.sd_difference,
        "limit_low": agreed.limit_low,
        "limit_high": agreed.limit_high,
        "true_sd": float(true.std(ddof=1)),
        "icc_agreement": agreed.icc_agreement.value if agreed.icc_agreement else None,
        "cohort_sd": cohort_sd,
    }
    if cohort_sd:
        ratio = 1 - agreed.sd_difference**2 / cohort_sd**2
        numbers["cohort_reliability_ratio"] = max(ratio, 0.0)
    if np.ptp(found):
        numbers["reliability_ratio"] = float(np.cov(true, found)[0, 1] / found.var(ddof=1))
    if np.ptp(true):
        numbers["bias_slope"] = float(np.polyfit(true, error, 1)[0])
    if np.ptp(true) and np.ptp(error):
        numbers["error_size_r"] = float(np.corrcoef(true, error)[0, 1])
    if np.ptp(true) and np.ptp(np.abs(error)):
        numbers["error_spread_r"] = float(stats.spearmanr(true, np.abs(error)).statistic)
    return counts | numbers
