"""`columna segment`: one scan without Snakemake."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from columna.results.layout import Layout
from columna.results.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


def test_masks_points_and_tables_of_one_scan(workspace, cohort, finished):
    scan = cohort / "sub-02_T2w.nii.gz"
    workspace.columna("segment", str(scan), "--out", "out")
    out = workspace.folder / "out"
    mask = nib.load(out / "sub-02_seg-vert_dseg.nii.gz")
    image = nib.load(scan)
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
    assert (out / "sub-02_seg-spine_ctd.json").exists()
    assert (out / "sub-02_T2w.webp").read_bytes().startswith(b"RIFF")
    # the same answer as inside a cohort
    cohort_mask = (
        finished.folder / "results/derivatives/sub-02/anat" / mask.get_filename().split("/")[-1]
    )
    assert cohort_mask.read_bytes() == (out / cohort_mask.name).read_bytes()
    assert len(pd.read_parquet(out / "tables" / "scans.parquet")) == 1


def test_a_bad_scan_is_refused_in_one_sentence(workspace, cohort):
    done = workspace.columna(
        "segment", str(cohort / "sub-05_T2w.nii.gz"), "--out", "out", check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "refused in prepare" in done.stderr


def test_odd_file_names(workspace, cohort):
    name = "my scan; touch owned $(id) 'x'.nii.gz"
    shutil.copy(cohort / "sub-04_T2w.nii.gz", workspace.folder / name)
    workspace.columna("segment", name, "--out", "out dir")
    assert not (workspace.folder / "owned").exists()
    assert list((workspace.folder / "out dir").glob("*_seg-vert_dseg.nii.gz"))


def test_other_settings_repeat_only_what_they_concern(workspace, cohort):
    """Although little is kept: as if computed anew, and networks run only where they have to."""

    def segment(out, **settings):
        workspace.configure(**settings)
        scan = str(cohort / "sub-04_T2w.nii.gz")
        workspace.columna("segment", scan, "--out", out, "--configfile", "config/config.yaml")
        [archive] = (workspace.folder / out / "work" / "store").glob("*.zip")
        records = Store(Layout(workspace.folder / out / "work")).read_all(archive.stem)
        masks = sorted((workspace.folder / out).glob("*.nii.gz"))
        computed = {stage for stage, r in records.items() if r.computations_n > 1}
        return computed, [mask.read_bytes() for mask in masks]

    segment("out")
    late = {"label": {"naming": "top_down"}}
    computed, masks = segment("out", **late)
    assert computed == {"label", "measure", "assess", "picture"}
    early = late | {"semantic": {"mirroring": True}}
    computed, masks = segment("out", **early)
    assert computed == {"semantic", "instance", "label", "measure", "assess", "picture"}
    assert masks == segment("fresh", **early)[1]


def test_two_scans_do_not_share_a_folder(workspace, cohort):
    """The second is refused in one sentence, and the first one's result stays as it was."""
    other = workspace.folder / "elsewhere" / "sub-02_T2w.nii.gz"  # of the same name
    other.parent.mkdir()
    shutil.copy(cohort / "sub-04_T2w.nii.gz", other)
    workspace.columna("segment", str(cohort / "sub-02_T2w.nii.gz"), "--out", "out")
    out = workspace.folder / "out"

    def contents():
        return {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}

    before = contents()
    for scan in (other, cohort / "sub-04_T2w.nii.gz"):
        done = workspace.columna("segment", str(scan), "--out", "out", check=False)
        assert done.returncode == 1
        assert "holds the result of another scan" in done.stderr
        assert "Traceback" not in done.stderr
        assert contents() == before
    moved = other.with_name("sub-02_T2w.nii.gz")
    shutil.copy(cohort / "sub-02_T2w.nii.gz", moved)
    shutil.rmtree(out / "work")  # as the docs allow
    workspace.columna("segment", str(moved), "--out", "out")


def test_a_folder_with_results_of_a_cohort_is_left_alone(workspace, cohort):
    tables = workspace.folder / "results" / "tables"
    tables.mkdir(parents=True)
    (tables / "scans.parquet").write_bytes(b"of a cohort")
    done = workspace.columna(
        "segment", str(cohort / "sub-04_T2w.nii.gz"), "--out", "results", check=False
    )
    assert done.returncode == 1
    assert "holds other results" in done.stderr
    assert (tables / "scans.parquet").read_bytes() == b"of a cohort"
