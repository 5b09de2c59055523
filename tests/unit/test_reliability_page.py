"""docs/reliability.md: every row names tests that exist, and no row stands there twice."""

import re
from collections import Counter

import pytest

from columna.docs import ROOT

PAGE = ROOT / "docs" / "reliability.md"
HEAD = "| what was tried |"


def rows():
    """Cells of each row: what was tried, what happens, tests."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.startswith("| ") and not line.startswith(HEAD)]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in found]


def references(cell):
    """(File, name of the test or nothing) of each test; a file is not repeated in a cell."""
    file = ""
    for reference in re.findall(r"`([^`]+)`", cell):
        path, _, name = reference.partition("::")
        is_file = path.endswith(".py")
        file = path if is_file else file
        yield file, name if is_file or not path else path


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_the_tests_of_a_row_exist(row):
    assert len(row) == 3, "a row has three cells"
    named = list(references(row[2]))
    assert named, "a row names its test"
    for file, name in named:
        assert (ROOT / file).is_file(), file
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source, f"{file}::{name}"


def test_no_row_stands_there_twice():
    """Lines of this page are joined when branches are merged, so an edited row may come back."""
    counts = Counter(row[2] for row in rows())
    assert [tests for tests, n in counts.items() if n > 1] == []
