"""Which scans are looked at first, and which at random; what browsers get of them."""

import csv
import gzip
import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import label_table
from columna.images.volume import Volume
from columna.picture.colours import colour_table
from columna.results.manifest import ScanEntry
from columna.viewer.review_pages import HERE, rating_reasons
from columna.viewer.reviewed_scans import ReviewedScan
from columna.viewer.volumes import clean_nifti, colours
from columna.viewer.worklist import doubtful_first, random_sample


def scan(name, verdict="pass", least_p=None, status="done", code=None):
    entry = ScanEntry(name, name, None, Path(f"{name}.nii.gz"))
    return ReviewedScan(name, 0, None, status, code, None, verdict, None, None, least_p, entry)


def names(scans):
    return [one.scan_id for one in scans]


def test_doubtful_scans_come_first():
    scans = [
        scan("a", "pass", 0.99),
        scan("b", "pass", 0.61),
        scan("c", "review", 0.9),
        scan("d", "fail", 1.0),
        scan("e", "review", 0.5),
        scan("f", "pass"),
        scan("g", None, status="refused", code="no_spine"),
        scan("h", None, status="refused", code="bad_correction"),
    ]
    assert names(doubtful_first(scans)) == ["h", "d", "e", "c", "b", "a", "f"]


@given(st.integers(0, 60), st.integers(1, 40), st.integers())
@settings(max_examples=30, deadline=None)
def test_a_sample_is_the_same_for_all_raters_and_grows_with_the_cohort(total, count, seed):
    scans = [scan(f"scan-{n:03}") for n in range(total)]
    chosen = names(random_sample(scans, count, seed))
    assert len(chosen) == len(set(chosen)) == min(count, total)
    assert names(random_sample(scans[::-1], count, seed)) == chosen
    more = names(random_sample([*scans, scan("new")], count, seed))
    assert len(set(chosen) - set(more)) <= 1
    assert [name for name in more if name in chosen] == [name for name in chosen if name in more]


def test_another_seed_is_another_sample():
    scans = [scan(f"scan-{n:03}") for n in range(100)]
    assert names(random_sample(scans, 10, 1)) != names(random_sample(scans, 10, 2))


@pytest.mark.parametrize(
    "kind", ["u1", "i1", "i2", ">i2", "u2", "i4", "u4", "i8", "f4", ">f4", "f8"]
)
def test_voxels_of_any_type_get_to_the_browser(kind):
    array = np.arange(60).reshape(3, 4, 5).astype(kind)
    affine = np.array([[0, 0, 2, 1], [-1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1.0]])
    shown = nib.Nifti1Image.from_bytes(gzip.decompress(clean_nifti(Volume(array, affine))))
    assert np.array_equal(np.asanyarray(shown.dataobj), array)
    assert np.allclose(shown.affine, affine)
    assert shown.header.get_data_dtype().str in ("|u1", "<i2", "<u2", "<f4")


def test_values_that_are_no_numbers_are_zero():
    array = np.array([[[np.nan, np.inf, -np.inf, 5.0]]])
    shown = nib.Nifti1Image.from_bytes(gzip.decompress(clean_nifti(Volume(array, np.eye(4)))))
    assert np.asanyarray(shown.dataobj).tolist() == [[[0, 0, 0, 5]]]


def test_colours_are_those_of_the_pictures():
    for name, mask in (("spine", "semantic"), ("vert", "instance")):
        found = colours()[name]
        assert len({len(channel) for channel in found.values()}) == 1
        for label, *rgb in zip(found["I"], found["R"], found["G"], found["B"], strict=True):
            if label >= 0:
                assert np.allclose(rgb, colour_table(mask)[label], atol=1)
        assert {row.label for row in label_table() if row.mask == mask} <= set(found["I"])
        assert found["A"][found["I"].index(0)] == 0


def test_reasons_are_codes_with_a_meaning():
    found = rating_reasons()
    assert "wrong_level" in found
    assert all(code.isidentifier() and meaning for code, meaning in found.items())


def test_the_packed_viewer_is_that_of_the_registry_with_its_licences():
    vendor = HERE / "static" / "vendor"
    with open(vendor / "packages.tsv", newline="") as stream:
        packed = list(csv.DictReader(stream, delimiter="\t"))
    assert {entry["file"] for entry in packed} == {p.name for p in vendor.glob("*.js")}
    for entry in packed:
        digest = hashlib.sha256((vendor / entry["file"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"]
        assert "Redistribution" in (vendor / entry["licence_file"]).read_text()
