"""On a real cluster: COLUMNA_SLURM holds the options that your site needs, such as
`--default-resources slurm_account=mylab slurm_partition=cpu`; without it nothing is run."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from columna.slurm.nodes import limits_of, read_nodes
from workspace import REPOSITORY

SITE = os.environ.get("COLUMNA_SLURM")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(SITE is None, reason="needs a Slurm cluster and COLUMNA_SLURM"),
]


@pytest.fixture
def cohort(workspace):
    """Two scans that are refused: a job over them takes no time."""
    workspace.zero_byte_cohort(2)
    workspace.configure(cohort="cohort.tsv", batch_size=1)
    workspace.columna("index")
    return workspace


def run_until(cohort, sentence, *arguments, limit_s=120):
    """Run on Slurm until a sentence appears; seconds since the first submission, and the line."""
    command = [
        *(f"{sys.prefix}/bin/snakemake", "-s", f"{REPOSITORY}/Snakefile"),
        *("--profile", f"{REPOSITORY}/profiles/slurm", "--quiet", "rules", "host"),
        *shlex.split(SITE),
        *arguments,
    ]
    path = f"{sys.prefix}/bin:{os.environ['PATH']}"
    head = subprocess.Popen(
        command,
        cwd=cohort.folder,
        env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + limit_s
    submitted, seen = None, []
    try:
        for line in head.stdout:
            seen.append(line)
            if submitted is None and "Execute" in line:
                submitted = time.monotonic()
            if sentence in line:
                return time.monotonic() - submitted, line
            assert time.monotonic() < end, "".join(seen)
        raise AssertionError("".join(seen))
    finally:
        head.send_signal(signal.SIGINT)
        head.communicate(timeout=120)


def test_a_job_longer_than_its_partition_allows_is_told_within_a_minute(cohort):
    limits = limits_of(read_nodes())
    longest = max(limit.minutes or 0 for limit in limits.values())
    assert longest, "no partition of this cluster has a time limit"
    seconds, line = run_until(
        cohort, "will not start", "--set-resources", f"prepare:runtime={longest + 1}"
    )
    assert seconds < 60
    assert "PartitionTimeLimit" in line
    assert "and 1 more like it" in line
    assert "`set-resources: prepare:`" in line


def test_a_refused_job_is_told(cohort):
    _, line = run_until(
        cohort, "Slurm refused", *("--set-resources", "prepare:slurm_partition=no-such-partition")
    )
    assert "`slurm_partition`" in line
