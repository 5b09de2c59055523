"""Label maps of several sources become one reference, or the scan is left out with a reason."""

import csv

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from columna.config import PrepareSettings
from columna.errors import CohortError
from columna.images.volume import load_volume, save_volume
from columna.phantom import PhantomSettings, make_phantom
from columna.train.recipe import DatasetSettings
from columna.train.samples.dataset import convert
from columna.train.samples.fuse import FusionRule, fuse, fuse_masks, read_rules

TABLE = """source\tlabel\tstructure\tpriority
ct\t1\tvertebral_body\t2
ct\t2\tarcus\t2
cord\t1\tspinal_cord\t5
cord\t2\tspinal_canal\t4
earlier\t60\tspinal_cord\t3
earlier\t49\tvertebral_body\t1
earlier\t100\tdisc\t1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scan, and three sources that draw parts of its structures."""
    folder = tmp_path_factory.mktemp("fuse")
    phantom = make_phantom(
        PhantomSettings(region="thoracic", fov_mm=(120.0, 110.0, 52.0), spacing_mm=(1.4, 1.4, 4.0))
    )
    for name in "abcd":
        save_volume(phantom.image, folder / f"{name}_T2w.nii.gz")
    true = phantom.semantic
    of = {
        "ct": {49: 1, 41: 2},
        "cord": {60: 1, 61: 2},
        "earlier": {60: 60, 49: 49, 100: 100},
    }
    for source, labels in of.items():
        mask = np.zeros(true.shape, np.uint8)
        for theirs, ours in labels.items():
            mask[true.array == theirs] = ours
        save_volume(true.with_array(mask), folder / f"{source}.nii.gz")
    wrong = load_volume(folder / "cord.nii.gz")
    save_volume(wrong.with_array(np.flip(wrong.array, axis=0)), folder / "wrong.nii.gz")
    (folder / "rules.tsv").write_text(TABLE)
    return folder, true


def write_sheet(path, *rows):
    head = "participant_id\tscan_id\tpath\tct\tcord\tearlier"
    path.write_text("\n".join([head, *("\t".join(row) for row in rows)]) + "\n")
    return path


def run(folder, tmp_path, *rows, **options):
    sheet = write_sheet(folder / "sheet.tsv", *rows)
    return fuse(sheet, read_rules(folder / "rules.tsv"), tmp_path, PrepareSettings(), **options)


ROW = ("1", "one", "a_T2w.nii.gz", "ct.nii.gz", "cord.nii.gz", "earlier.nii.gz")


def test_sources_that_agree_make_the_whole_mask_on_the_grid_of_the_scan(folder, tmp_path):
    where, true = folder
    [scan] = run(where, tmp_path, ROW)
    assert scan.status == "ok"
    image, mask = nib.load(scan.path), load_volume(tmp_path / "one_seg-spine_dseg.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
    expected = np.where(np.isin(true.array, (49, 41, 60, 61, 100)), true.array, 0)
    assert np.array_equal(mask.reoriented(true.orientation).array, expected)


def test_what_was_fused_can_be_trained_on(folder, tmp_path):
    where, _ = folder
    run(where, tmp_path, ROW)
    names = {49: ("vertebral_body",), 41: ("arcus",), 60: ("spinal_cord",), 100: ("disc",)}
    settings = DatasetSettings(sheet=tmp_path / "training.tsv", labels=names)
    [case] = convert({"fused": settings}, tmp_path / "raw", 2, PrepareSettings(n4=False))
    assert case.status == "ok"


def test_sources_that_disagree_leave_the_scan_out_and_the_others_in(folder, tmp_path):
    where, _ = folder
    wrong = ("2", "two", "b_T2w.nii.gz", ROW[3], "wrong.nii.gz", ROW[5])
    good, bad = run(where, tmp_path, ROW, wrong)
    assert (good.status, bad.status) == ("ok", "bad_mask")
    assert "cord and earlier disagree: the Dice of spinal_cord is 0.0" in bad.reason
    with open(tmp_path / "cases.tsv", newline="") as stream:
        assert [row["status"] for row in csv.DictReader(stream, delimiter="\t")] == [
            "ok",
            "bad_mask",
        ]
    assert not (tmp_path / "two_seg-spine_dseg.nii.gz").exists()
    assert len((tmp_path / "training.tsv").read_text().splitlines()) == 2


def test_sources_may_be_missing_but_not_all(folder, tmp_path):
    where, _ = folder
    nothing = ("3", "three", "c_T2w.nii.gz", "", "n/a", "")
    part, none = run(where, tmp_path, (*ROW[:4], "", ""), nothing)
    assert part.status == "ok"
    assert (none.status, none.reason) == ("bad_mask", "The sheet names no mask of any source.")


def test_a_source_that_cannot_be_read_or_lies_elsewhere_is_named(folder, tmp_path):
    where, _ = folder
    moved = load_volume(where / "ct.nii.gz")
    affine = moved.affine.copy()
    affine[:3, 3] += 30
    save_volume(type(moved)(moved.array, affine), where / "moved.nii.gz")
    gone, apart = run(
        where,
        tmp_path,
        (*ROW[:3], "absent.nii.gz", *ROW[4:]),
        ("4", "four", "d_T2w.nii.gz", "moved.nii.gz", *ROW[4:]),
    )
    assert "The mask ct: There is no file" in gone.reason
    assert apart.status == "mask_grid"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ct\t1\tdisc\t7", "says twice what label 1 of ct is"),
        ("other\t1\tdisc\t2", "have both priority 2"),
        ("ct\t9\tspleen\t7", "line 9: 'spleen' is no structure"),
        ("ct\tx\tdisc\t7", "line 9: label and priority must be whole numbers"),
        ("ct\t0\tdisc\t7", "a label from 1"),
    ],
)
def test_rules_that_cannot_be_are_told_by_line(tmp_path, line, reason):
    path = tmp_path / "rules.tsv"
    path.write_text(TABLE + line + "\n")
    with pytest.raises(CohortError, match=reason):
        read_rules(path)


@given(st.permutations(["a", "b", "c"]), st.integers(0, 2**32 - 1))
def test_the_highest_priority_wins_whatever_the_order_of_sources(order, seed):
    rng = np.random.default_rng(seed)
    masks = {source: rng.integers(0, 3, (3, 3, 3)).astype(np.uint16) for source in "abc"}
    rules = [
        FusionRule(source, label, 40 + 3 * place + label, 10 * place + label)
        for place, source in enumerate("abc")
        for label in (1, 2)
    ]
    found = fuse_masks({source: masks[source] for source in order}, rules)
    claims = [
        np.where(masks[r.source] == r.label, r.priority * 1000 + r.structure, 0) for r in rules
    ]
    assert np.array_equal(found, np.max(claims, axis=0) % 1000)
