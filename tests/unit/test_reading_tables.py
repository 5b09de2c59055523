"""The Python examples of docs/reading-tables.md run as they stand."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured_phantom import collect_phantoms

from columna.evaluate.outputs import write_measurement_error

PAGE = Path(__file__).parents[2] / "docs" / "reading-tables.md"
SECTIONS = [section.split("\n", 1) for section in PAGE.read_text().split("\n## ")[1:]]
PEOPLE = "Age, sex and other facts of the cohort"
SLOPE = "Correct a slope for measurement error"
EXAMPLES = {
    title: text.split("```python\n")[1].split("```")[0]
    for title, text in SECTIONS
    if "```python" in text
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    tables = collect_phantoms(folder / "results")
    write_measurement_error([measured_error("gap_mean_mm", 0.3)], tables)
    return folder


def measured_error(column, sd):
    numbers = {"twins_n": 50, "values_n": 200, "error_sd": sd}
    return {"table": "discs", "column": column, "region": "lumbar", "slices": "all", **numbers}


def run(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(PAGE), "exec"), {})
    return printed.getvalue()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("pandas", r"24\s+L4\s+3\.0"),
        ("polars", r"L4-L5"),
        ("DuckDB", r"L4\s+│\s+\d"),
        (PEOPLE, r"F\s+41\.0\s+\d"),
    ],
)
def test_examples_run_as_they_stand(title, expected, folder, monkeypatch):
    assert re.search(expected, run(EXAMPLES[title], folder, monkeypatch))


def test_examples_are_short():
    assert set(EXAMPLES) == {"pandas", "polars", "DuckDB", PEOPLE, SLOPE}
    for title, code in EXAMPLES.items():
        assert len(code.strip().splitlines()) <= (11 if title == SLOPE else 6)


def test_the_corrected_slope_is_that_of_the_truth(tmp_path, monkeypatch):
    """A predictor with a known error: the plain slope is too small, the corrected one is right."""
    rng = np.random.default_rng(0)
    true = rng.normal(9, 1.0, 4000)
    tables = tmp_path / "results" / "tables"
    scans = [f"s{n}" for n in range(len(true))]
    write_measurement_error([measured_error("gap_mean_mm", 0.8)], tables)
    measured = true + rng.normal(0, 0.8, len(true))
    discs = pd.DataFrame({"scan_id": scans, "level_upper": "L3", "gap_mean_mm": measured})
    discs.to_parquet(tables / "discs.parquet")
    people = pd.DataFrame({"scan_id": scans, "age": 80 - 5 * true + rng.normal(0, 1, len(true))})
    people.to_parquet(tables / "participants.parquet")
    printed = run(EXAMPLES[SLOPE], tmp_path, monkeypatch)
    slope, corrected, reliability = map(float, re.findall(r"-?\d+\.\d\d", printed))
    assert slope == pytest.approx(-5 / 1.64, abs=0.15)
    assert corrected == pytest.approx(-5, abs=0.25)
    assert reliability == pytest.approx(1 / 1.64, abs=0.03)
