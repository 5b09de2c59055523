"""How a run ends, and how parts of it are started, as a user meets it."""

import shutil

import pytest

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture
def refused(workspace):
    """Two empty files, in one batch."""
    workspace.zero_byte_cohort(2)
    workspace.configure(cohort="cohort.tsv", models={"device": "cpu"})
    workspace.columna("index")
    return workspace


def test_a_run_that_fails_midway_ends_with_its_counts(refused):
    """A file is away, then back."""
    scan = refused.folder / "data/sub-001_T2w.nii.gz"
    away = scan.rename(refused.folder / "away")
    failed = refused.snakemake("--until", "prepare", "--retries", "0", check=False)
    assert failed.returncode == 1
    told = failed.stdout + failed.stderr
    assert "done 0, refused 1, failed 0, open 1, to review not known" in told
    assert "columna status --failures --results results" in told
    assert "prepare b00001 failed: 1 of 2 scans have no answer yet" in told
    assert "log: results/logs/prepare/b00001.log" in told
    assert "CalledProcessError" not in told
    assert "Traceback" not in told
    away.rename(scan)
    done = refused.snakemake("--until", "prepare")
    assert "done 0, refused 2, failed 0, to review not known" in done.stdout + done.stderr


def test_targets_that_name_files_are_planned_like_all_others(refused):
    target = "results/stages/prepare/b00001.tsv"
    refused.snakemake(target)
    assert refused.planned(target) == []
    scan = refused.folder / "data/sub-002_T2w.nii.gz"
    scan.write_bytes(b"x")
    assert "columna prepare b00001" in "".join(refused.planned(target))


def test_a_configuration_or_index_that_is_wrong_is_one_sentence(refused):
    ledger = refused.folder / "results/index/ledger.tsv"
    shutil.copy(refused.folder / "data/sub-001_T2w.nii.gz", ledger)
    done = refused.snakemake("-n", check=False)
    told = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 1
    assert any(line.startswith("results/index/ledger.tsv: the ledger is damaged") for line in told)
    assert "Traceback" not in done.stderr
    refused.configure(cohort="cohort.tsv", batch_size=0)
    done = refused.snakemake("-n", check=False)
    assert done.returncode == 1
    assert "Error" not in done.stdout + done.stderr
    assert "batch_size" in done.stdout + done.stderr
