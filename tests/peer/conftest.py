"""Tests against the released package: opt-in, see docs/peer.md."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# the harness of `make peer`, and the drawn spine of the unit tests
sys.path += [str(ROOT / "benchmarks" / "peer"), str(ROOT / "tests" / "unit")]


def pytest_collection_modifyitems(items):
    if "COLUMNA_PEER" in os.environ:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="COLUMNA_PEER is not set"))
