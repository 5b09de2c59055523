"""Fixtures of all tests."""

import pytest

from workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    """A working folder for Snakemake."""
    return Workspace(tmp_path)
