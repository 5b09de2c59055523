"""What Snakemake and its Slurm plugin ask of Slurm, whose commands are stand-ins here."""

import re
import sys
from pathlib import Path

import pytest

from workspace import REPOSITORY

pytestmark = pytest.mark.xdist_group("e2e")

SINFO = REPOSITORY / "tests" / "data" / "slurm" / "sinfo.txt"
COMMANDS = {
    "sinfo": f"cat {SINFO}",
    "squeue": "",
    "scontrol": "",
    "sbatch": 'echo "$@" >> submitted; echo "sbatch: error: Invalid qos specification" >&2; exit 1',
}


@pytest.fixture
def site(workspace, monkeypatch):
    """Two batches whose first stage is done, and a Slurm that refuses every job."""
    folder = workspace.folder / "slurm-commands"
    folder.mkdir()
    for name, script in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin")
    workspace.zero_byte_cohort(2)
    workspace.configure(cohort="cohort.tsv", batch_size=1)
    workspace.columna("index")
    workspace.snakemake(*(f"results/stages/prepare/b0000{n}.tsv" for n in (1, 2)))
    return workspace


def submit(site, *resources):
    """What is submitted for the stage semantic, and all that is said."""
    done = site.snakemake(
        *("results/stages/semantic/b00001.tsv", "results/stages/semantic/b00002.tsv"),
        *("--profile", f"{REPOSITORY}/profiles/slurm", "--retries", "0", "--quiet", "rules"),
        *("--set-resources", *(f"semantic:{resource}" for resource in resources)),
        check=False,
    )
    asked = (site.folder / "submitted").read_text().splitlines()
    return [line.split(" --wrap")[0].split() for line in asked], done.stdout + done.stderr


def test_jobs_ask_for_no_more_than_their_partition_has_and_refusals_are_told(site):
    submitted, said = submit(site, "slurm_partition=short", "gres=gpu:a100:1")
    assert len(submitted) == 2
    for options in submitted:
        assert options[options.index("-t") + 1] == "20"
        assert "--gres=gpu:a100:1" in options
        assert not [option for option in options if option.startswith("--gpus")]
    assert "semantic asks for 20 instead of 60 minutes" in said
    assert len(re.findall("Slurm refused the job semantic b0000", said)) == 1


def test_a_gpu_type_and_what_the_profile_says_are_kept(site):
    submitted, _ = submit(site, "slurm_partition=gpu", "gpu_model=a100", "runtime=90")
    for options in submitted:
        assert options[options.index("-t") + 1] == "90"
        assert "--gpus=a100:1" in options
