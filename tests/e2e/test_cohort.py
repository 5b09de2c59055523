"""The whole chain over a cohort, as a user runs it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from columna.results.layout import Layout
from columna.results.store import Store
from workspace import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

TABLES = ("scans", "structures", "vertebrae", "quality", "cohort_reference", "columns")
GOOD = [f"sub-{n:02d}_T2w" for n in range(1, 5)]


def table_bytes(workspace):
    tables = workspace.folder / "results" / "tables"
    return {name: (tables / f"{name}.parquet").read_bytes() for name in TABLES}


def stage_records(workspace):
    """Every record in the store, by scan and stage."""
    store = Store(Layout(workspace.folder / "results"))
    archives = (workspace.folder / "results" / "store").glob("*.zip")
    return {
        (archive.stem, stage): record
        for archive in archives
        for stage, record in store.read_all(archive.stem).items()
    }


def records(workspace):
    """What tells one computation from another: how often, and how long it took."""
    return {
        key: (record.computations_n, record.seconds)
        for key, record in stage_records(workspace).items()
    }


def computations(workspace):
    return {key: record.computations_n for key, record in stage_records(workspace).items()}


def test_every_input_has_one_row_with_its_reason(finished):
    scans = pd.read_parquet(finished.folder / "results" / "tables" / "scans.parquet")
    scans = scans.set_index("scan_id")
    assert sorted(scans.index) == [f"sub-{n:02d}_T2w" for n in range(1, 9)]
    assert (scans.loc[GOOD, "input_status"] == "ok").all()
    assert (scans.loc[GOOD, "processing_status"] == "done").all()
    assert scans.loc["sub-05_T2w", "input_status"] == "unreadable"
    assert scans.loc["sub-06_T2w", "input_status"] == "not_3d"
    assert scans.loc["sub-08_T2w", "input_status"] == "missing_file"
    assert scans.loc[["sub-05_T2w", "sub-06_T2w", "sub-07_T2w"], "input_reason"].notna().all()


def test_vertebrae_are_measured(finished):
    vertebrae = pd.read_parquet(finished.folder / "results" / "tables" / "vertebrae.parquet")
    seen = vertebrae[vertebrae.presence.isin(["complete", "partial"])]
    assert set(seen.scan_id) == set(GOOD)
    complete = seen[seen.presence == "complete"]
    assert complete.body_volume_mm3.between(5e3, 9e4).mean() > 0.8


def test_masks_lie_on_the_grid_of_the_input(finished, cohort):
    for scan in GOOD:
        subject = scan.split("_")[0]
        folder = finished.folder / "results" / "derivatives" / subject / "anat"
        image = nib.load(cohort / f"{scan}.nii.gz")
        for kind in ("spine", "vert"):
            mask = nib.load(folder / f"{subject}_seg-{kind}_dseg.nii.gz")
            assert mask.shape == image.shape
            np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
        sidecar = json.loads((folder / f"{subject}_seg-vert_dseg.json").read_text())
        assert len(sidecar["Stages"]["semantic"]["model"]["sha256"]) == 64


def test_little_is_kept_of_a_scan(finished):
    """Two masks, sidecar, centroids, picture, and one archive of all records."""
    results = finished.folder / "results"
    for scan in GOOD:
        subject = scan.split("_")[0]
        files = [p for p in results.rglob("*") if p.is_file() and subject in str(p)]
        assert len(files) == 6, files
        with zipfile.ZipFile(results / "store" / f"{scan}.zip") as archive:
            sizes = {i.filename: i.compress_size for i in archive.infolist()}
        assert sum(size for name, size in sizes.items() if name.endswith(".json")) < 100_000
        assert sum(sizes.values()) < 300_000, "raw masks and the certainty of phase 1"


def test_tables_describe_themselves(finished):
    tables = finished.folder / "results" / "tables"
    columns = pd.read_parquet(tables / "columns.parquet")
    for name in ("scans", "structures", "vertebrae"):
        schema = pq.read_schema(tables / f"{name}.parquet")
        assert list(columns[columns.table == name].column) == schema.names
        assert all(field.metadata[b"description"] for field in schema)


def test_nothing_temporary_is_left(finished):
    results = finished.folder / "results"
    assert not [p for p in results.rglob("*") if ".tmp" in p.name or p.name.endswith(".begun")]


def test_nothing_private_reaches_outputs_and_logs(finished):
    scans = pd.read_parquet(finished.folder / "results" / "tables" / "scans.parquet")
    assert scans.set_index("scan_id").field_strength_t["sub-04_T2w"] == 3
    for path in (finished.folder / "results").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            assert b"Mustermann" not in content, path
            assert b"19640812" not in content, path


def test_again_there_is_nothing_to_be_done(finished):
    began = time.monotonic()
    done = finished.snakemake()
    assert "Nothing to be done" in done.stdout + done.stderr
    assert time.monotonic() - began < 15


def test_status_counts_what_ended_where(finished):
    text = finished.columna("status", "--failures").stdout
    assert "sub-05_T2w" in text
    assert "unreadable" in text
    assert "measure" in text


@pytest.mark.parametrize("batch_size", [1, 3])
def test_tables_do_not_depend_on_the_batch_size(batch_size, finished, prepared_workspace):
    workspace = prepared_workspace(f"size{batch_size}", batch_size)
    workspace.snakemake()
    assert table_bytes(workspace) == table_bytes(finished)


def test_a_killed_run_goes_on_where_it_was(finished, prepared_workspace):
    workspace = prepared_workspace("killed", 32)
    first_half = kill_during_semantic(workspace)
    workspace.snakemake("--unlock")
    workspace.snakemake("--rerun-incomplete")
    after = records(workspace)
    assert {name: after[name] for name in first_half} == first_half
    assert set(computations(workspace).values()) == {1}
    assert table_bytes(workspace) == table_bytes(finished)


def kill_during_semantic(workspace):
    """Start the workflow, kill everything after the first semantic mask; the records so far."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    run = subprocess.Popen(
        command,
        cwd=workspace.folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while "semantic" not in {stage for _, stage in records(workspace)}:
        assert run.poll() is None, "the workflow ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    done = records(workspace)
    kinds = [stage for _, stage in done]
    assert 0 < kinds.count("semantic") < len(GOOD), "not killed in mid-batch"
    return done


def test_new_scans_leave_finished_batches_alone(finished, copy_of, cohort):
    workspace = copy_of(finished)
    before = records(workspace)
    rows = [line.split("\t") for line in (cohort / "cohort.tsv").read_text().splitlines()[1:]]
    lines = ["participant_id\tscan_id\tpath\tage"]
    lines += ["\t".join([r[0], r[1], f"{cohort}/{r[2]}", r[3]]) for r in rows]
    lines.append(f"sub-09\tsub-09_T2w\t{cohort}/sub-01_T2w.nii.gz\t70")
    (workspace.folder / "more.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(cohort="more.tsv", batch_size=32)
    workspace.columna("index")
    workspace.snakemake()
    after = records(workspace)
    assert {name: after[name] for name in before} == before
    scans = pd.read_parquet(workspace.folder / "results" / "tables" / "scans.parquet")
    assert len(scans) == 9
