"""Snakemake repeats what is no longer true: replaced inputs, lost results, other settings."""

import os
import shutil

import pandas as pd
import pytest

from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.lock import hold_results

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SMALL = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 130.0, 52.0)}
CONFIG = {"cohort": "cohort.tsv", "models": {"semantic": "none", "instance": "none"}}


def write_scan(folder, name, **settings):
    write_phantom(make_phantom(PhantomSettings(**SMALL | settings)), folder / "data", name)


@pytest.fixture
def computed(workspace):
    """Two scans with masks of their own, computed."""
    lines = ["participant_id\tscan_id\tpath\tsemantic\tinstance"]
    for number in (1, 2):
        name = f"sub-0{number}"
        write_scan(workspace.folder, name, seed=number)
        files = [f"data/{name}_{k}.nii.gz" for k in ("T2w", "seg-spine_dseg", "seg-vert_dseg")]
        lines.append("\t".join([name, f"{name}_T2w", *files]))
    (workspace.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(**CONFIG)
    workspace.columna("index")
    workspace.snakemake()
    return workspace


def scans(workspace):
    table = pd.read_parquet(workspace.folder / "results" / "tables" / "scans.parquet")
    return table.set_index("scan_id")


def is_at_rest(workspace):
    done = workspace.snakemake()
    return "Nothing to be done" in done.stdout + done.stderr


def test_snakemake_alone_makes_a_run_true_again(computed):
    assert is_at_rest(computed)
    write_scan(computed.folder, "sub-01", seed=1, spacing_mm=(1.9, 1.9, 4.0))
    assert "1 x stale: a scan" in computed.columna("status").stdout
    assert computed.planned()
    assert computed.planned()  # a dry run changes nothing
    computed.snakemake()
    assert scans(computed).spacing_si_mm.to_dict() == {"sub-01_T2w": 1.9, "sub-02_T2w": 1.8}
    assert is_at_rest(computed)

    results = computed.folder / "results"
    mask = next((results / "derivatives").rglob("sub-02*_seg-vert_dseg.nii.gz"))
    shutil.rmtree(computed.folder / ".snakemake" / "metadata")  # as from another folder
    mask.unlink()
    (results / "tables" / "discs.parquet").write_bytes(b"edited by hand")
    shutil.rmtree(results / "stages")
    computed.snakemake()
    assert mask.exists()
    assert len(pd.read_parquet(results / "tables" / "discs.parquet"))
    assert "stale:" not in computed.columna("status").stdout
    computed.columna("check", "--content")

    computed.configure(**CONFIG, measure={"fov_margin_mm": 5.0})
    assert "settings" in computed.columna("status").stdout
    planned = computed.planned()
    assert {line.split()[1] for line in planned} == {"measure", "collect", "report"}


def test_runs_from_two_folders(computed, tmp_path_factory):
    results = computed.folder / "results"
    elsewhere = type(computed)(tmp_path_factory.mktemp("elsewhere"))
    cohort = str(computed.folder / "cohort.tsv")
    elsewhere.configure(
        **CONFIG | {"cohort": os.path.relpath(cohort, elsewhere.folder)}, results=str(results)
    )
    elsewhere.columna("index")
    write_scan(computed.folder, "sub-01", seed=1, spacing_mm=(1.9, 1.9, 4.0))
    with hold_results(results):
        refused = elsewhere.snakemake(check=False)
        assert refused.returncode != 0
        assert "another run is at work there" in refused.stdout + refused.stderr
        assert elsewhere.planned()  # a dry run may look
    elsewhere.snakemake()
    assert scans(computed).spacing_si_mm["sub-01_T2w"] == 1.9
    assert is_at_rest(elsewhere)
    computed.snakemake()
    assert scans(computed).spacing_si_mm["sub-01_T2w"] == 1.9
