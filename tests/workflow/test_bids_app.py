"""Calls of a BIDS App one after the other, through Snakemake."""

import pandas as pd
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture
def dataset(workspace):
    """Empty files: every stage answers within moments."""
    for subject in ("01", "02"):
        folder = workspace.folder / "bids" / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_T2w.nii.gz").touch()
    return workspace


def test_participants_one_after_the_other_then_the_group(dataset):
    tables = dataset.folder / "out" / "tables" / "scans.parquet"
    call = ("bids", "bids", "out", "participant", "--n-cpus", "2", "--participant-label")
    dataset.columna(*call, "02")
    assert not tables.exists()
    dataset.columna(*call, "sub-01")
    dataset.columna("bids", "bids", "out", "group")
    assert pd.read_parquet(tables).scan_id.tolist() == ["sub-01_T2w", "sub-02_T2w"]
    assert "Nothing to be done" in dataset.columna(*call, "01").stderr
    assert not (dataset.folder / ".snakemake").exists()


def test_what_snakemake_says_is_the_exit_code(dataset):
    done = dataset.columna(*("bids", "bids", "out", "participant", "--", "--no-such"), check=False)
    assert done.returncode == 2
    assert "--no-such" in done.stderr
