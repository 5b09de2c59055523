"""The wheel holds the workflow, and runs a cohort where there is no clone."""

import shutil
import subprocess
import sys
import zipfile

import pandas as pd
import pytest

from columna.phantom import PhantomSettings, make_phantom, write_phantom
from workspace import REPOSITORY, Workspace

PACKAGED = {
    "config/": "pipeline/config/",
    "envs/": "pipeline/envs/",
    "profiles/": "pipeline/profiles/",
    "resources/": "resources/",
    "workflow/Snakefile": "pipeline/workflow/Snakefile",
    "workflow/rules/": "pipeline/workflow/rules/",
    "workflow/schemas/": "pipeline/workflow/schemas/",
    "workflow/columna/": "",
}
"""Beginnings of paths in the repository -> where the wheel has them, below ``columna/``."""
SMALL = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 130.0, 52.0)}


def tracked():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = done.stdout.strip("\0").split("\0")
    return [n for n in names if (REPOSITORY / n).exists()]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A wheel, built from a copy of the repository: building writes beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in tracked():
        if name.startswith((*PACKAGED, "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, source / name, follow_symlinks=False)
    out = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", out, source)
    (built,) = out.glob("columna-*.whl")
    return built


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def packaged(name):
    """Where the wheel has a file of the repository; None if it has no place there."""
    for start, place in PACKAGED.items():
        if name.startswith(start):
            return f"columna/{place}{name.removeprefix(start)}"
    return None


def test_wheel_holds_the_package_and_the_workflow_and_nothing_else(wheel):
    files = [name for name in tracked() if not (REPOSITORY / name).is_symlink()]
    expected = {packaged(name) for name in files} - {None}
    held = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert held == expected


@pytest.mark.slow
def test_wheel_runs_a_cohort_outside_the_clone(wheel, tmp_path):
    site, study = tmp_path / "site", tmp_path / "study"
    pip("install", "--no-deps", "--no-index", "--target", site, wheel)
    lines = ["participant_id\tpath\tsemantic\tinstance"]
    for seed, name in enumerate(("sub-01", "sub-02")):
        write_phantom(make_phantom(PhantomSettings(**SMALL, seed=seed)), study, name)
        masks = (f"{name}_{kind}_dseg.nii.gz" for kind in ("seg-spine", "seg-vert"))
        lines.append("\t".join([name, f"{name}_T2w.nii.gz", *masks]))
    (study / "cohort.tsv").write_text("\n".join(lines) + "\n")
    Workspace(study).run(
        *(str(site / "bin" / "columna"), "run", "--cohort", "cohort.tsv", "--results", "results"),
        *("--cores", "2"),
        PYTHONPATH=str(site),
    )
    assert {path.name for path in study.iterdir() if path.is_dir()} == {"results"}
    scans = pd.read_parquet(study / "results" / "tables" / "scans.parquet")
    assert (scans.processing_status == "done").tolist() == [True, True]
    assert scans.git_commit.isna().all()  # the jobs were those of the wheel, not of the clone
