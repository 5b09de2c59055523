"""The measures whose error is printed, and the printing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from columna.evaluate.measure_error import EVERYWHERE

MOST_USED: tuple[tuple[str, str], ...] = (
    ("vertebrae", "height_anterior_mm"),
    ("vertebrae", "height_middle_mm"),
    ("vertebrae", "height_posterior_mm"),
    ("vertebrae", "wedge_angle_deg"),
    ("discs", "disc_height_mean_mm"),
    ("discs", "listhesis_mm"),
    ("cord_canal", "canal_ap_mm"),
    ("cord_canal", "canal_area_mm2"),
    ("cord_canal", "cord_area_mm2"),
    ("spine", "lumbar_lordosis_l1_s1_deg"),
)
"""Table and column. One or more of each question that such scans are measured for: fractures (the
three heights and the wedge), discs (height), slips, stenosis (depth and area of the canal), atrophy
of the cord, and alignment."""
WIDTH = 120
HEADS = ("measure", "n", "bias", "SD", "limits of agreement", "ICC(2,1)")


def print_errors(rows: Iterable[Mapping[str, Any]], title: str, sd: str = "sd_difference") -> None:
    """Print the error of the ten most used measures, over all regions.

    Parameters
    ----------
    rows
        Rows of ``agreement``, or of ``measurement_error`` for slices of all kinds.
    title
        Headline.
    sd
        Name of the column with the standard deviation of the error.
    """
    known = {(r["table"], r["column"]): r for r in rows if r["region"] == EVERYWHERE}
    table = Table(*HEADS, title=title, box=box.SIMPLE_HEAD)
    for name in MOST_USED:
        row = known.get(name, {"values_n": 0})
        low, high = _number(row.get("limit_low")), _number(row.get("limit_high"))
        table.add_row(
            ".".join(name),
            str(row["values_n"]),
            _number(row.get("bias")),
            _number(row.get(sd)),
            f"{low} to {high}" if low else "",
            _number(row.get("icc_agreement")),
        )
    Console(width=WIDTH).print(table)


def print_measurement_error(path: Path) -> None:
    """Print the error of the ten most used measures of ``measurement_error.parquet``."""
    rows = pd.read_parquet(path)
    chosen = rows[rows["slices"] == "all"].astype(object)
    records = [dict(zip(map(str, chosen), values, strict=True)) for values in chosen.to_numpy()]
    print_errors(records, "Expected error, from twins of this cohort's scans", "error_sd")


def _number(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3g}"
