"""Jobs in an image: what Snakemake hands to apptainer, which is a script here."""

import pytest

pytestmark = pytest.mark.xdist_group("e2e")

APPTAINER = """#!/usr/bin/env bash
set -euo pipefail
if [[ "$1" == --version ]]; then echo "apptainer version 1.3.4"; exit; fi
echo "${*//$'\\n'/ }" >> "$CALLS"
exec bash -c "${!#}"
"""


@pytest.fixture
def run_with(workspace):
    """Runs the first job of a cohort with a stand-in for apptainer on the PATH."""
    folder = workspace.folder
    (folder / "bin").mkdir()
    script = folder / "bin" / "apptainer"
    script.write_text(APPTAINER)
    script.chmod(0o755)
    workspace.zero_byte_cohort(1)

    def run(**variables):
        columna = ("columna", "run", "--cohort", "cohort.tsv", "--results", "out", "--cores", "1")
        target = str(folder / "out" / "stages" / "prepare" / "b00001.tsv")
        further = ("--", "--software-deployment-method", "apptainer", "--", target)
        calls = str(folder / "calls")
        return workspace.run(*columna, *further, check=False, CALLS=calls, **variables)

    return run


def test_no_image_is_said(run_with):
    done = run_with()
    assert done.returncode == 1
    assert "COLUMNA_CONTAINER is not set" in done.stdout + done.stderr


def test_jobs_run_in_the_image(run_with, workspace):
    (workspace.folder / "image.sif").touch()
    done = run_with(COLUMNA_CONTAINER=str(workspace.folder / "image.sif"))
    assert done.returncode == 0, done.stderr
    (call,) = (workspace.folder / "calls").read_text().splitlines()
    assert f"{workspace.folder}/image.sif bash -c" in call
    assert "columna prepare b00001" in call
