import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from columna.cohort.index import build_index
from columna.config import PrepareSettings
from columna.errors import CohortError, ScanRefused
from columna.phantom import demo
from columna.phantom.demo import PHANTOMS, write_demo_cohort
from columna.phantom.own import own_scans
from columna.prepare import read_scan


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    return write_demo_cohort(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def index(sheet, tmp_path_factory):
    out = tmp_path_factory.mktemp("index")
    build_index(sheet, out, 4)
    return pd.read_parquet(out / "scans.parquet").set_index("participant_id")


def test_demo_cohort_ends_as_it_says(index):
    ends = {}
    for participant, row in index.iterrows():
        ends[participant] = row["input_status"]
        if row["input_status"] == "ok":
            try:
                read_scan(row["path"], PrepareSettings())
                ends[participant] = "done"
            except ScanRefused as refused:
                ends[participant] = refused.code
    assert ends == index["expected"].to_dict()


def test_full_range_scan_uses_all_of_int16(index):
    array = np.asanyarray(nib.load(index.loc["sub-fullrange", "path"]).dataobj)
    assert (array.dtype, array.min(), array.max()) == (np.int16, -32768, 32767)


def test_oblique_phantom_is_oblique_and_flipped(index):
    affine = nib.load(index.loc["sub-oblique", "path"]).affine
    assert nib.aff2axcodes(affine) == ("L", "S", "A")
    assert np.rad2deg(nib.affines.obliquity(affine)).max() == pytest.approx(12, abs=0.5)


def test_demo_cohort_is_the_same_every_time(sheet, tmp_path):
    def digests(folder):
        files = (p for p in folder.rglob("*") if p.is_file())
        return {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
        }

    assert digests(write_demo_cohort(tmp_path / "again").parent) == digests(sheet.parent)


def test_phantoms_lie_in_whole_bodies_and_no_two_are_alike(sheet):
    assert all(settings.surroundings == "body" for settings, *_ in PHANTOMS.values())
    images = [p for p in sheet.parent.rglob("*_T2w.nii.gz") if p.stat().st_size]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in images}
    assert len(digests) == len(images)


# --- files of one's own ---


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "my scans"
    for name in ("sub-01_ses-2_T2w.nii.gz", "a/scan.nii", "b/scan.nii", "Müller T2.nii.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    for name in ("._hidden.nii.gz", ".git/x.nii", "notes.txt", "a/mask_dseg.nii.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_of_ones_own_join_the_cohort_where_they_lie(own, tmp_path, monkeypatch):
    monkeypatch.chdir(own.parent)
    found = {scan.scan_id: scan for scan in own_scans(Path("my scans"))}
    assert set(found) == {"sub-01_ses-2_T2w", "a-scan", "b-scan", "M-ller-T2", "mask_dseg"}
    assert found["sub-01_ses-2_T2w"].participant_id == "sub-01"
    assert all(scan.path.is_absolute() and scan.path.is_file() for scan in found.values())


def test_files_of_ones_own_have_rows_in_the_sheet(own, tmp_path, monkeypatch):
    for part in ("_write_phantoms", "_write_ct", "_write_damaged"):
        monkeypatch.setattr(demo, part, lambda folder: [])
    sheet = write_demo_cohort(tmp_path / "demo", own)
    build_index(sheet, tmp_path / "index", 4)
    rows = pd.read_parquet(tmp_path / "index" / "scans.parquet").set_index("scan_id")
    assert rows.loc["a-scan", "input_status"] == "ok"
    assert rows.loc["a-scan", "path"] == str(own / "a" / "scan.nii")
    assert rows.loc["mask_dseg", "input_status"] == "derived_image"
    assert len(rows) == 6


@pytest.mark.parametrize("content", ["no folder", "nothing"])
def test_a_folder_without_scans_is_an_error(content, tmp_path):
    folder = tmp_path / "own"
    if content == "nothing":
        folder.mkdir()
    with pytest.raises(CohortError, match=str(folder)):
        write_demo_cohort(tmp_path / "demo", folder)
    assert not (tmp_path / "demo").exists()
