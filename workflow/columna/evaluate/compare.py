"""Compare evaluations of the same scans, paired by participant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from columna.cohort.sheet import read_table
from columna.errors import ColumnaError
from columna.evaluate.paired import Comparison, compare_paired, holm
from columna.tables.evaluation import EVALUATION

KEYS = ["structure", "unit", "stratum", "metric"]
PRIMARY = (
    ("vertebra", "instance", "all", "dice"),
    ("disc", "instance", "all", "dice"),
    ("canal_with_cord", "structure", "all", "dice"),
)
"""Hypotheses that are tested; every other comparison is exploratory."""
COMPARED = (
    "dice",
    "iou",
    "assd_mm",
    "hd95_mm",
    "recognition_quality",
    "segmentation_quality",
    "panoptic_quality",
    "dice_of_matched",
    "dice_with_missed",
    "assd_of_matched_mm",
)
WITH_MARGIN = ("dice", "dice_of_matched", "dice_with_missed", "panoptic_quality")
"""Metrics in whose unit a margin of non-inferiority is given; more is better for all of them."""


@dataclass(frozen=True)
class Evaluation:
    """Rows of ``evaluation.parquet`` of one program.

    Parameters
    ----------
    name
        Of the program, run or model.
    rows
        Rows of the table, categories as text, with the stratum ``all`` of instances added.
    """

    name: str
    rows: pd.DataFrame


def read_evaluation(folder: Path, name: str) -> Evaluation:
    """Read what ``columna evaluate`` wrote into `folder`.

    Raises
    ------
    ColumnaError
        If it holds no evaluation.
    """
    path = folder / f"{EVALUATION.name}.parquet"
    try:
        values = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise ColumnaError(
            f"{path}: there is none; run `columna evaluate` into {folder}"
        ) from error
    except (OSError, ValueError) as error:
        raise ColumnaError(f"{path}: cannot be read as an evaluation: {error}") from error
    missing = sorted(set(EVALUATION.names) - set(values.columns))
    if missing:
        raise ColumnaError(f"{path}: is no evaluation, it lacks {', '.join(missing)}")
    values = values.astype(dict.fromkeys(KEYS, str))
    instances = values[values["unit"] == "instance"].assign(stratum="all")
    return Evaluation(name, pd.concat([values, instances], ignore_index=True))


def read_groups(sheet: Path, column: str) -> dict[str, str]:
    """Scan -> its value in a column of a sheet.

    Raises
    ------
    ColumnaError
        If the sheet cannot be read or lacks the column or ``scan_id``.
    """
    rows, _ = read_table(sheet)
    missing = sorted({"scan_id", column} - set(rows.columns))
    if missing:
        raise ColumnaError(f"{sheet}: lacks the column {', '.join(missing)}")
    values = rows[column].fillna("").replace("", "unknown")
    return dict(zip(rows["scan_id"], values, strict=True))


def compare(
    evaluations: Sequence[Evaluation],
    *,
    groups: Mapping[str, str] | None = None,
    primary: Sequence[tuple[str, str, str, str]] = PRIMARY,
    margin: float | None = None,
) -> Iterator[dict[str, Any]]:
    """Compare every two evaluations, in the order given.

    Parameters
    ----------
    evaluations
        At least two.
    groups
        Scan -> group of the sheet (sex, scanner ...); the comparison is made in each as well.
    primary
        Family of hypotheses whose p values are adjusted together (Holm), declared beforehand;
        structure, unit, stratum and metric of each. Groups are always exploratory.
    margin
        Margin of non-inferiority of Dice and panoptic quality.

    Yields
    ------
    dict
        Rows of the table ``comparison``.
    """
    rows = []
    for first, second in combinations(evaluations, 2):
        pairs = _paired(first, second)
        parts = [("all", pairs)]
        if groups is not None:
            named = pairs.assign(group=pairs["scan_id"].map(groups).fillna("unknown"))
            parts += [(str(name), part) for name, part in named.groupby("group", sort=True)]
        for group, part in parts:
            rows += list(_compared(first.name, second.name, group, part, primary, margin))
    adjusted = holm({str(i): row["p"] for i, row in enumerate(rows) if _is_tested(row)})
    for place, row in enumerate(rows):
        yield row | {"p_adjusted": adjusted.get(str(place))}


def _is_tested(row: Mapping[str, Any]) -> bool:
    return row["role"] == "primary" and row["p"] is not None


def _paired(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    """Values of both on the same structure or instance of the same reference."""
    on = ["scan_id", "participant_id", *KEYS, "reference_label"]
    sides = []
    for evaluation in (first, second):
        values = evaluation.rows[evaluation.rows["metric"].isin(COMPARED)]
        # a missed instance has no other row than its Dice of 0
        sides.append(values[[*on, "value"]].dropna(subset=["value"]))
    pairs = sides[0].merge(sides[1], on=on, suffixes=("_first", "_second"))
    if pairs.empty:
        raise ColumnaError(
            f"{first.name} and {second.name} have no scan with a common reference; are their "
            "scan_id and participant_id the same?"
        )
    return pairs


def _compared(
    first: str,
    second: str,
    group: str,
    pairs: pd.DataFrame,
    primary: Sequence[tuple[str, str, str, str]],
    margin: float | None,
) -> Iterator[dict[str, Any]]:
    for keys, part in pairs.groupby(KEYS, sort=True):
        means = part.groupby("participant_id")[["value_first", "value_second"]].mean()
        found = compare_paired(means["value_first"], means["value_second"])
        metric = keys[KEYS.index("metric")]
        is_primary = group == "all" and tuple(keys) in {tuple(key) for key in primary}
        judged = found.is_non_inferior(margin) if margin and metric in WITH_MARGIN else None
        yield {
            "first": first,
            "second": second,
            "group": group,
            **dict(zip(KEYS, keys, strict=True)),
            "role": "primary" if is_primary else "exploratory",
            "values_n": len(part),
            "mean_first": float(means["value_first"].mean()),
            "mean_second": float(means["value_second"].mean()),
            **_numbers(found),
            "is_non_inferior": judged,
        }


def _numbers(found: Comparison) -> dict[str, Any]:
    return {
        "participants_n": found.n,
        "differing_n": found.n_nonzero,
        "statistic": found.statistic,
        "p": found.p,
        "rank_biserial": found.rank_biserial,
        "shift": found.shift,
        "shift_low": found.shift_low,
        "shift_high": found.shift_high,
    }
