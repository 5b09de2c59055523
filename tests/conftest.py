"""Fixtures of all tests."""

import os

import pytest

from workspace import Workspace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""As the command line does: tests run side by side, each with all threads."""


@pytest.fixture
def workspace(tmp_path):
    """A working folder for Snakemake."""
    return Workspace(tmp_path)
