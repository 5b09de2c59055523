"""Masks that exist already: checked, brought to the grid of the scan, never changed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from columna.anatomy import anatomical_order
from columna.batch import run_batch
from columna.chain import STAGES
from columna.config import Config, LabelSettings, PrepareSettings
from columna.errors import ScanRefused
from columna.images.volume import Volume, load_volume, save_volume
from columna.label import take_masks
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.prepare import read_mask
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry
from columna.stages.by_name import make_stage
from published import published_masks

SMALL = {"fov_mm": (130.0, 150.0, 46.0), "spacing_mm": (1.2, 1.2, 3.3), "region": "lumbar"}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(seed=1, **SMALL))


@pytest.fixture(scope="module")
def real():
    return [load_volume(path) for path in published_masks()]


def levels_of(result):
    return [(entry["label"], entry["level"], entry["level_anchor"]) for entry in result.levels]


def test_levels_are_what_the_numbers_say(phantom):
    result = take_masks(phantom.image, phantom.semantic, phantom.instance, LabelSettings())
    assert np.array_equal(result.semantic.array, phantom.semantic.array)
    assert np.array_equal(result.instance.array, phantom.instance.array)
    names = [name for _, name, _ in levels_of(result)]
    assert names[-2:] == ["L4", "L5"]
    assert {anchor for _, _, anchor in levels_of(result)} == {"given"}


@pytest.mark.parametrize(("old", "new", "name"), [(19, 28, "T13"), (24, 25, "L6"), (23, 40, None)])
def test_unusual_numbers_are_kept(phantom, old, new, name):
    array = phantom.instance.array.astype(np.uint16)
    array[array == old] = new
    result = take_masks(
        phantom.image, phantom.semantic, Volume(array, phantom.instance.affine), LabelSettings()
    )
    assert (new, name, "given" if name else "none") in levels_of(result)
    assert [entry["index"] for entry in result.levels] == list(range(1, len(result.levels) + 1))


def test_other_axis_orders_and_spacings_are_brought_to_the_scan(phantom):
    turned = [mask.reoriented(("L", "S", "A")) for mask in (phantom.semantic, phantom.instance)]
    result = take_masks(phantom.image, *turned, LabelSettings())
    assert np.array_equal(result.instance.array, phantom.instance.array)
    fine = [Volume(mask.array.repeat(2, axis=0), halved(mask.affine)) for mask in turned]
    result = take_masks(phantom.image, *fine, LabelSettings())
    assert np.array_equal(result.semantic.array, phantom.semantic.array)


def halved(affine):
    """Affine of a grid with two voxels in place of each along the first axis."""
    affine = affine @ np.diag([0.5, 1, 1, 1])
    affine[:3, 3] -= affine[:3, 0] / 2
    return affine


def test_masks_of_another_space_are_refused(phantom):
    moved = phantom.instance.affine.copy()
    moved[:3, 3] += [0, 0, 12]
    with pytest.raises(ScanRefused, match=r"instance mask.*12\.0 mm apart") as refusal:
        take_masks(
            phantom.image,
            phantom.semantic,
            replace(phantom.instance, affine=moved),
            LabelSettings(),
        )
    assert refusal.value.code == "mask_grid"


def test_swapped_masks_are_refused(phantom):
    with pytest.raises(ScanRefused, match="semantic mask holds numbers that are no SPINEPS labels"):
        take_masks(phantom.image, phantom.instance, phantom.semantic, LabelSettings())


# --- levels named anew ---

ANEW = LabelSettings(given_levels="rename")


COARSE = {"seed": 3, "spacing_mm": (2.0, 2.0, 4.0)}


@pytest.fixture(scope="module")
def lumbosacral():
    return make_phantom(PhantomSettings(**COARSE, region="lumbar", fov_mm=(130.0, 260.0, 66.0)))


@pytest.mark.parametrize("place", [0.2, 0.35, 0.7])
@pytest.mark.parametrize("rows_n", [1, 3])
def test_a_remnant_disc_in_the_sacrum_changes_no_name(lumbosacral, place, rows_n):
    structures = lumbosacral.semantic.reoriented(("P", "I", "R"))
    array = structures.array.copy()
    rows = np.flatnonzero((array == 26).any(axis=(0, 2)))
    first = rows[int(place * len(rows))]
    part = array[:, first : first + rows_n]
    part[part == 26] = 100
    changed = structures.with_array(array)
    levels = take_masks(lumbosacral.image, changed, lumbosacral.instance, ANEW).levels
    assert [level["level"] for level in levels] == ["T11", "T12", "L1", "L2", "L3", "L4", "L5"]


@pytest.mark.parametrize(
    ("count", "levels_n"),
    [({"lumbar": 4}, 22), ({"lumbar": 6}, 24), ({"thoracic": 11}, 22), ({"thoracic": 13}, 24)],
)
def test_other_numbers_of_vertebrae_are_not_named_surely_wrong(count, levels_n):
    scan = make_phantom(PhantomSettings(**COARSE, region="whole", **count))
    levels = take_masks(scan.image, scan.semantic, scan.instance, ANEW).levels
    assert len(levels) == levels_n
    found = np.unique(scan.instance.array[scan.semantic.array == 49])
    true = anatomical_order(int(label) for label in found if 0 < label < 40 and label != 26)
    for label, level in zip(true, levels, strict=True):
        assert level["label"] == label or (level["level_confidence"] or 0) <= 0.9


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_one_mask_given_twice_is_refused(phantom, kind):
    mask = getattr(phantom, kind)
    with pytest.raises(ScanRefused) as error:
        take_masks(phantom.image, mask, mask, LabelSettings())
    assert error.value.code == "mask_labels"


def test_empty_masks_have_no_levels(phantom):
    nothing = phantom.image.with_array(np.zeros(phantom.image.shape, np.uint8))
    assert take_masks(phantom.image, nothing, nothing, LabelSettings()).levels == []


def test_real_masks_can_be_named_anew(real):
    """SPINEPS without labelling model numbers from the top as if it were C2; it is T11."""
    semantic, instance = real
    kept = take_masks(instance, semantic, instance, LabelSettings())
    assert [name for _, name, _ in levels_of(kept)] == [f"C{n}" for n in range(2, 8)] + ["T1"]
    renamed = take_masks(instance, semantic, instance, LabelSettings(given_levels="rename"))
    names = [name for _, name, _ in levels_of(renamed)]
    assert names == ["T11", "T12", "L1", "L2", "L3", "L4", "L5"]
    new = dict(zip(range(2, 9), (18, 19, 20, 21, 22, 23, 24), strict=True))
    for offset in (0, 100, 200):
        for old, number in new.items():
            assert np.array_equal(
                instance.array == offset + old, renamed.instance.array == offset + number
            )
    assert np.array_equal(renamed.semantic.array, semantic.array)


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8])
def test_masks_may_be_stored_as_any_number(phantom, kind, tmp_path):
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(phantom.semantic.array.astype(kind), phantom.semantic.affine), path)
    assert np.array_equal(read_mask(path, PrepareSettings()).array, phantom.semantic.array)


def test_fractions_are_no_labels(phantom, tmp_path):
    path = tmp_path / "mask.nii.gz"
    soft = phantom.semantic.array / np.float32(61)
    nib.save(nib.Nifti1Image(soft, phantom.semantic.affine), path)
    with pytest.raises(ScanRefused, match="no whole numbers"):
        read_mask(path, PrepareSettings())


def saved_from_floats(mask, path, kind=np.int16):
    """A mask that a program kept as floats and stored as integers: nibabel scales it."""
    image = nib.Nifti1Image(mask.array.astype(float), mask.affine)
    image.set_data_dtype(kind)
    nib.save(image, path)
    assert nib.load(path).dataobj.slope not in (1, 0)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32])
def test_scaled_masks_are_the_whole_numbers_that_they_stand_for(phantom, kind, tmp_path):
    for mask in (phantom.semantic, phantom.instance):
        saved_from_floats(mask, tmp_path / "mask.nii.gz", kind)
        read = read_mask(tmp_path / "mask.nii.gz", PrepareSettings())
        assert read.array.dtype == np.uint16
        assert np.array_equal(read.array, mask.array)


@pytest.mark.parametrize("off", [0.009, -0.009])
def test_labels_may_be_a_hundredth_off(phantom, off, tmp_path):
    array = phantom.semantic.array.astype(np.float32)
    nib.save(nib.Nifti1Image(array + off, phantom.semantic.affine), tmp_path / "mask.nii.gz")
    read = read_mask(tmp_path / "mask.nii.gz", PrepareSettings()).array
    assert np.array_equal(read, phantom.semantic.array)


@pytest.mark.parametrize("value", [20.5, 20.02, 19.98, -0.02, -1, 65536, 1e9, np.nan, np.inf])
def test_one_voxel_that_is_no_label(phantom, value, tmp_path):
    array = phantom.semantic.array.astype(np.float64)
    array[3, 4, 5] = value
    nib.save(nib.Nifti1Image(array, phantom.semantic.affine), tmp_path / "mask.nii.gz")
    with pytest.raises(ScanRefused, match="no whole numbers") as refusal:
        read_mask(tmp_path / "mask.nii.gz", PrepareSettings())
    assert refusal.value.code == "mask_labels"


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_interpolated_masks_are_refused(phantom, kind, tmp_path):
    """Between two labels lies no third one."""
    shifted = ndimage.shift(phantom.semantic.array.astype(float), (0.3, 0, 0), order=1)
    saved = Volume(shifted, phantom.semantic.affine)
    image = nib.Nifti1Image(saved.array, saved.affine)
    image.set_data_dtype(kind)
    nib.save(image, tmp_path / "mask.nii.gz")
    with pytest.raises(ScanRefused, match="no whole numbers"):
        read_mask(tmp_path / "mask.nii.gz", PrepareSettings())


def test_masks_stored_too_coarsely_are_refused(phantom, tmp_path):
    """Labels up to 217 in signed bytes: neighbours become one, and nobody knows which it was."""
    saved_from_floats(phantom.instance, tmp_path / "mask.nii.gz", np.int8)
    with pytest.raises(ScanRefused, match="no whole numbers"):
        read_mask(tmp_path / "mask.nii.gz", PrepareSettings())


@pytest.fixture
def scan(phantom, tmp_path):
    image = write_phantom(phantom, tmp_path, "sub-01")
    masks = [tmp_path / f"sub-01_seg-{kind}_dseg.nii.gz" for kind in ("spine", "vert")]
    return ScanEntry("sub-01_T2w", "sub-01", None, image, *masks)


def run_all(scan, layout, config):
    return {
        name: run_batch(make_stage(name, config, layout), "b00001", [scan], 1)[0] for name in STAGES
    }


def test_a_scan_with_masks_needs_no_model(scan, tmp_path):
    missing = {"semantic": "no_such_model", "instance": "no_such_model"}
    config = Config.model_validate({"models": missing})
    records = run_all(scan, Layout(tmp_path / "results"), config)
    assert {record.status for record in records.values()} == {"done"}
    assert {records[name].stage for name in ("semantic", "instance")} == {"prepare"}
    [row] = records["measure"].values["rows"]["scans"]
    assert (row["mask_source"], row["model_semantic"]) == ("given", None)
    assert not list((tmp_path / "results").rglob("prepared*"))


def test_scaled_masks_give_the_results_of_plain_ones(scan, phantom, tmp_path):
    plain = run_all(scan, Layout(tmp_path / "plain"), Config())
    saved_from_floats(phantom.semantic, scan.semantic)
    saved_from_floats(phantom.instance, scan.instance)
    scaled = run_all(scan, Layout(tmp_path / "scaled"), Config())
    for name in ("vertebrae", "discs", "structures", "spine"):
        rows = [records["measure"].values["rows"][name] for records in (plain, scaled)]
        assert rows[0] == rows[1]
    masks = [sorted((tmp_path / name).rglob("*dseg.nii.gz")) for name in ("plain", "scaled")]
    for one, other in zip(*masks, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("which", ["sidecar", "path", "semantic", "instance"])
def test_what_is_no_regular_file_is_never_read(scan, tmp_path, kind, which):
    """After the index anything may take a file's place; a pipe would be waited for, for ever."""
    path = scan.path.with_name("sub-01_T2w.json") if which == "sidecar" else getattr(scan, which)
    path.unlink(missing_ok=True)
    make = {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": Path.mkdir}
    make[kind](path)
    layout = Layout(tmp_path / "results")
    [record] = run_batch(make_stage("prepare", Config(), layout), "b00001", [scan], 1)
    if which == "path":
        assert record.code == "not_nifti"
        return
    assert record.status == "done"
    [record] = run_batch(make_stage("label", Config(), layout), "b00001", [scan], 1)
    assert record.code == (None if which == "sidecar" else "bad_mask")


def test_other_masks_are_taken_anew(scan, phantom, tmp_path):
    layout, config = Layout(tmp_path / "results"), Config()
    before = run_all(scan, layout, config)
    again = run_all(scan, layout, config)
    assert {record.computations_n for record in again.values()} == {1}
    array = phantom.instance.array.copy()
    array[array == array[array > 0].min()] = 0
    save_volume(phantom.instance.with_array(array), scan.instance)
    after = run_all(scan, layout, config)
    assert after["prepare"] == before["prepare"]
    assert after["label"].computations_n == after["assess"].computations_n == 2
    found = [len(records["label"].values["levels"]) for records in (before, after)]
    assert found[1] == found[0] - 1


def test_a_damaged_mask_is_refused_with_its_name(scan, tmp_path):
    scan.instance.write_bytes(scan.instance.read_bytes()[:1000])
    records = run_all(scan, Layout(tmp_path / "results"), Config())
    ended = records["assess"]
    assert (ended.stage, ended.status, ended.code) == ("label", "refused", "bad_mask")
    assert ended.reason.startswith("The instance mask: ")


PROGRAM = """
import sys
from pathlib import Path
from columna.batch import run_batch
from columna.results.manifest import ScanEntry
from columna.config import Config
from columna.chain import STAGES
from columna.results.layout import Layout
from columna.stages.by_name import make_stage

results, *files = map(Path, sys.argv[1:])
scan = ScanEntry("s", "s", None, *files)
for name in STAGES:
    [record] = run_batch(make_stage(name, Config(), Layout(results)), "b00001", [scan], 1)
    assert record.status == "done", record
assert "torch" not in sys.modules
"""


def test_no_part_of_torch_is_loaded(scan, tmp_path):
    files = [tmp_path / "other", scan.path, scan.semantic, scan.instance]
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, files)], check=True)
