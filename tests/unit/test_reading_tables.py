"""The Python examples of docs/reading-tables.md run as they stand."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from measured_phantom import collect_phantoms

PAGE = Path(__file__).parents[2] / "docs" / "reading-tables.md"
SECTIONS = [section.split("\n", 1) for section in PAGE.read_text().split("\n## ")[1:]]
PEOPLE = "Age, sex and other facts of the cohort"
EXAMPLES = {
    title: text.split("```python\n")[1].split("```")[0]
    for title, text in SECTIONS
    if "```python" in text
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    collect_phantoms(folder / "results")
    return folder


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
    assert set(EXAMPLES) == {"pandas", "polars", "DuckDB", PEOPLE}
    for code in EXAMPLES.values():
        assert len(code.strip().splitlines()) <= 6
