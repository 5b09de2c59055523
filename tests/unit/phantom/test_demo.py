import hashlib

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from columna.anatomy import RESOURCES
from columna.cohort.index import build_index
from columna.config import PrepareSettings
from columna.errors import ScanRefused
from columna.phantom.demo import write_demo_cohort
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


def test_real_scans_have_source_licence_and_no_free_text():
    folder = RESOURCES / "demo"
    readme = (folder / "README.md").read_text()
    for path in folder.glob("*.nii.gz"):
        row = next(line for line in readme.splitlines() if f"`{path.name}`" in line)
        licence = row.split("`")[-2]
        assert (folder / licence).is_file()
        header = nib.load(path).header
        assert not any(header[key].item() for key in ("descrip", "aux_file", "db_name"))
