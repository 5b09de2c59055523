"""Write and print the tables of an evaluation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from columna.evaluate.compare import Evaluation
from columna.evaluate.declarations import COMPARISON
from columna.evaluate.paired_figure import save_differences
from columna.evaluate.pairs import Evaluated, pair_row, value_row
from columna.evaluate.paper_table import latex, lines, markdown
from columna.evaluate.summary import summarize
from columna.files import atomic_path, write_text
from columna.tables.evaluation import EVALUATION, PAIRS, SUMMARY
from columna.tables.measurement_error import AGREEMENT, MEASUREMENT_ERROR
from columna.tables.schema import Table
from columna.tables.shards import rows_to_arrow

TOGETHER = 25
"""Scans that are written at once."""
WIDTH = 120
SHOWN = ("dice", "assd_mm", "hd95_mm")
SHOWN_OF_SCANS = ("panoptic_quality", "segmentation_quality", "recognition_quality")


def write_evaluation(answers: Iterable[Evaluated], folder: Path) -> None:
    """Write ``evaluation``, ``evaluation_summary`` and ``evaluation_pairs`` into `folder`.

    Answers are written as they come, and summarized one structure at a time, so that memory holds
    a few scans, whatever their number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, pairs = folder / f"{EVALUATION.name}.parquet", []
    nothing = rows_to_arrow(EVALUATION, [])
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, nothing.schema, compression="zstd") as writer,
    ):
        for chunk in _chunks(answers):
            pairs += [pair_row(answer) for answer in chunk]
            rows = [value_row(answer, value) for answer in chunk for value in answer.rows]
            writer.write_table(rows_to_arrow(EVALUATION, rows))
    _write(SUMMARY, _summary(path), folder)
    _write(PAIRS, pairs, folder)


def _chunks(answers: Iterable[Evaluated]) -> Iterator[list[Evaluated]]:
    left = iter(answers)
    while chunk := list(islice(left, TOGETHER)):
        yield chunk


def _summary(evaluation: Path) -> Iterator[Mapping[str, Any]]:
    found = pq.read_table(evaluation, columns=["structure"])["structure"].unique()
    for name in sorted(map(str, found.to_pylist())):
        yield from summarize(pd.read_parquet(evaluation, filters=[("structure", "==", name)]))


def write_comparison(
    evaluations: Sequence[Evaluation], rows: Sequence[Mapping[str, Any]], folder: Path
) -> list[Path]:
    """Write table, paper tables and figures of a comparison into `folder`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(COMPARISON, rows, folder)
    written = [folder / f"{COMPARISON.name}.parquet"]
    table = pd.DataFrame(rows)
    for one, other in combinations(range(len(evaluations)), 2):
        first, second = evaluations[one], evaluations[other]
        # numbers, since names are free text
        name = COMPARISON.name if len(evaluations) == 2 else f"comparison-{one + 1}-{other + 1}"
        stem = folder / name
        these = table[(table["first"] == first.name) & (table["second"] == second.name)]
        shown = list(lines(these, first.name, second.name))
        for ending, render in (("md", markdown), ("tex", latex)):
            path = stem.with_name(f"{stem.name}.{ending}")
            write_text(path, render(shown, first.name, second.name))
            written.append(path)
        written += save_differences(first, second, these, stem)
    return written


def write_agreement(rows: Iterable[Mapping[str, Any]], folder: Path) -> Path:
    """Write ``agreement.parquet`` into `folder`; gives its path."""
    complete = [{**dict.fromkeys(AGREEMENT.names), **row} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    _write(AGREEMENT, complete, folder)
    return folder / f"{AGREEMENT.name}.parquet"


def write_measurement_error(rows: Iterable[Mapping[str, Any]], folder: Path) -> Path:
    """Write ``measurement_error.parquet`` into `folder`; gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    complete = [{**dict.fromkeys(MEASUREMENT_ERROR.names), **row} for row in rows]
    _write(MEASUREMENT_ERROR, complete, folder)
    return folder / f"{MEASUREMENT_ERROR.name}.parquet"


def _write(table: Table, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    with atomic_path(folder / f"{table.name}.parquet") as temporary:
        pq.write_table(rows_to_arrow(table, rows), temporary, compression="zstd")


def print_summary(folder: Path) -> None:
    """Print the table of a paper from ``evaluation_summary.parquet`` of `folder`."""
    summary = pd.read_parquet(folder / "evaluation_summary.parquet")
    console = Console(width=WIDTH)
    for unit, metrics in (("structure", SHOWN), ("instance", SHOWN), ("scan", SHOWN_OF_SCANS)):
        part = summary[(summary["unit"] == unit) & (summary["stratum"] == "all")]
        if len(part):
            console.print(_printed(part, unit, metrics))


def _printed(part: pd.DataFrame, unit: str, metrics: Sequence[str]) -> Grid:
    grid = Grid(title=f"Mean (95 % interval) by {unit}", box=box.SIMPLE_HEAD)
    for name in ("structure", *metrics, "n"):
        grid.add_column(name, no_wrap=True)
    for structure in part["structure"].unique():
        rows = part[part["structure"] == structure].set_index("metric")
        cells = [_cell(rows.loc[metric]) if metric in rows.index else "" for metric in metrics]
        grid.add_row(structure, *cells, str(rows["values_n"].get(metrics[0], 0)))
    return grid


def _cell(row: pd.Series) -> str:
    if pd.isna(row["mean"]):
        return "NULL"
    mean = f"{row['mean']:.3f}"
    if pd.isna(row["mean_low"]):
        return mean
    return f"{mean} ({row['mean_low']:.3f}-{row['mean_high']:.3f})"
