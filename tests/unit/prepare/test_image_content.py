"""Images that are no MR scan of intensities are told by their values, and no scan is."""

import nibabel as nib
import numpy as np
import pytest

from columna.config import PrepareSettings
from columna.errors import ScanRefused
from columna.phantom import PhantomSettings, make_phantom
from columna.phantom.ct import make_ct
from columna.prepare import read_scan
from columna.prepare.image_content import looks_like_ct, looks_like_labels
from published import DATA, needs_data, published

BODY = PhantomSettings(
    seed=4, region="lumbar", spacing_mm=(1.6, 1.6, 4.0), surroundings="body", coccyx=True
)
REAL_CT = "tptbox_ct/sub-ct_label-22_ct.nii.gz"
REAL_SCANS = (
    "sct_lumbar/t2_lumbar.nii.gz",
    "tptbox_mri/sub-mri_label-6_T2w.nii.gz",
    "sct_axial/t2_axial.nii.gz",
)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(seed=4, region="lumbar", spacing_mm=(1.6, 1.6, 4.0)))


@pytest.fixture(scope="module", params=["phantom", "real"])
def ct(request):
    return make_ct(BODY).array if request.param == "phantom" else voxels(published(REAL_CT))


def voxels(path):
    return np.asanyarray(nib.load(path).dataobj)


def test_masks_are_told_however_they_are_stored(phantom):
    for mask in (phantom.semantic.array, phantom.instance.array):
        for image in (mask, mask > 0, mask.astype(np.float32) * 37.5, mask.astype(np.int32) - 1000):
            assert looks_like_labels(np.asarray(image))
    noise = np.random.default_rng(1).random(phantom.image.shape) > 0.5
    assert looks_like_labels(noise.astype(np.int16))


@pytest.mark.parametrize("name", ["phantom", *REAL_SCANS])
def test_scans_are_neither_labels_nor_ct(name):
    array = make_phantom(BODY).image.array if name == "phantom" else voxels(published(name))
    eight_bits = (array * (255 / array.max())).astype(np.uint8)
    filled = array.astype(np.int16)
    filled[:6] = -1000
    for image in (array, array / 1000, eight_bits, filled, array.astype(np.int16) - 1024):
        assert not looks_like_labels(image)
        assert not looks_like_ct(image)


def test_phantoms_are_neither(phantom):
    assert not looks_like_labels(phantom.image.array)
    assert not looks_like_ct(phantom.image.array)


@pytest.mark.parametrize("change", ["stored", "shifted", "filled", "clipped", "floats"])
def test_ct_is_told_by_its_units(ct, change):
    image = {
        "stored": ct,
        "shifted": (ct.astype(int) + 1024).clip(0).astype(np.uint16),
        "filled": np.where(np.arange(ct.shape[2]) < 15, -3024, ct).astype(np.int16),
        "clipped": ct.clip(-1000, 1000),
        "floats": ct.astype(np.float32) + np.float32(0.25),
    }[change]
    assert looks_like_ct(image)


def test_what_is_refused_depends_on_the_name_for_ct_but_not_for_masks(tmp_path, ct, phantom):
    affine = phantom.image.affine
    for name in ("export", "sub-1_T2w"):
        path = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(ct, affine), path)
        if name == "export":
            with pytest.raises(ScanRefused, match="look like CT") as refused:
                read_scan(path, PrepareSettings())
            assert refused.value.code == "wrong_modality"
        else:
            assert read_scan(path, PrepareSettings())
    path = tmp_path / "sub-2_T2w.nii.gz"
    mask = phantom.semantic
    nib.save(nib.Nifti1Image(mask.array.astype(np.uint8), mask.affine), path)
    with pytest.raises(ScanRefused, match="label map") as refused:
        read_scan(path, PrepareSettings())
    assert refused.value.code == "derived_image"


@needs_data
def test_real_scans_and_masks():
    space = sorted((DATA / "spider_space").glob("*_T2w.nii.gz"))
    for path in (*space[::6], DATA / "sct_cervical/t2.nii.gz"):
        array = voxels(path)
        assert not looks_like_labels(array), path
        assert not looks_like_ct(array), path
    masks = sorted((DATA / "spider_space").glob("*_mask.nii.gz"))[::9]
    masks += (DATA / "spider_labelmaps").glob("*.nii.gz")
    masks += (DATA / "panoptica_lumbar").glob("*.nii.gz")
    for path in (*masks, DATA / "sct_cervical/PAM50_small_cord.nii.gz"):
        assert looks_like_labels(voxels(path)), path
