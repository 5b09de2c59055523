"""Real scans are no part of the repository, and a wrong folder of them is named."""

import subprocess
from pathlib import Path

import pytest

from columna.errors import ColumnaError
from columna.real_data import VARIABLE, data_folder
from workspace import REPOSITORY

SCANS = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".mha", ".dcm", ".hdr", ".img")


def test_the_repository_holds_no_scan_and_no_mask():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout of git")
    assert [name for name in listed.stdout.splitlines() if name.lower().endswith(SCANS)] == []


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv(VARIABLE, "")
    assert data_folder() is None
    monkeypatch.delenv(VARIABLE)
    assert data_folder() is None
    monkeypatch.setenv(VARIABLE, str(Path(tmp_path, "nowhere")))
    with pytest.raises(ColumnaError, match=f"{VARIABLE} names .*nowhere"):
        data_folder()
