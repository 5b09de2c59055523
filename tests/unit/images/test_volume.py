"""Volumes keep voxels and millimetres together."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from columna.images.volume import (
    Volume,
    bounding_box,
    load_image,
    load_volume,
    resample_image,
    resample_mask,
    resample_mask_like,
    save_image,
    save_volume,
)

ORIENTATIONS = [
    codes
    for axes in itertools.permutations(("RL", "AP", "IS"))
    for codes in itertools.product(*axes)
]


def oblique(shape=(7, 9, 5), seed=0):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(np.eye(3) + 0.1 * rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([0.8, 0.9, 3.3])
    affine[:3, 3] = (10, -20, 30)
    return Volume(rng.integers(0, 200, shape).astype(np.int16), affine)


def world_of(volume, value):
    [index] = np.argwhere(volume.array == value)
    return volume.affine[:3, :3] @ index + volume.affine[:3, 3]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_reorienting_moves_no_voxel_in_space(codes):
    volume = oblique()
    volume.array[2, 3, 4] = 999
    turned = volume.reoriented(codes)
    assert turned.orientation == tuple(codes)
    np.testing.assert_allclose(world_of(turned, 999), world_of(volume, 999), atol=1e-9)
    back = turned.reoriented(volume.orientation)
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.affine, volume.affine)


def test_cropping_and_padding_move_no_voxel_in_space():
    volume = oblique()
    volume.array[2, 3, 4] = 999
    for changed in (volume.padded(4), volume.cropped((slice(1, 6), slice(2, 8), slice(3, 5)))):
        np.testing.assert_allclose(world_of(changed, 999), world_of(volume, 999))


@given(shape=st.tuples(*[st.integers(1, 8)] * 3), seed=st.integers(0, 99), margin=st.integers(0, 2))
def test_bounding_box_is_the_smallest(shape, seed, margin):
    mask = np.random.default_rng(seed).random(shape) > 0.9
    box = bounding_box(mask, margin)
    if box is None:
        assert not mask.any()
        return
    for axis, part in enumerate(box):
        inside = np.argwhere(mask)[:, axis]
        assert part.start == max(inside.min() - margin, 0)
        assert part.stop == min(inside.max() + 1 + margin, shape[axis])


def test_resampling_reproduces_a_smooth_image_and_keeps_the_first_voxel_centre():
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    axis = np.arange(40) / 6
    field = np.sin(axis)[:, None, None] + np.cos(axis)[None, :, None] + np.sin(axis)[None, None, :]
    fine = resample_image(Volume(field, affine), (0.5, 0.8, 1.0))
    assert fine.shape == (80, 50, 40)
    np.testing.assert_allclose(fine.affine[:3, 3], 0)
    x, y, z = (np.arange(n) * s / 6 for n, s in zip(fine.shape, (0.5, 0.8, 1.0), strict=True))
    truth = np.sin(x)[:, None, None] + np.cos(y)[None, :, None] + np.sin(z)[None, None, :]
    inner = (slice(8, 60), slice(8, 38), slice(4, 36))
    np.testing.assert_allclose(fine.array[inner], truth[inner], atol=2e-3)


@pytest.mark.parametrize("codes", ORIENTATIONS[::7])
def test_a_mask_comes_back_to_the_grid_it_came_from(codes):
    volume = oblique((12, 14, 6))
    there = resample_mask(volume.padded(4).reoriented(codes), [0.4, 0.45, 1.1])
    if tuple(volume.padded(4).reoriented(codes).orientation) == volume.orientation:
        np.testing.assert_array_equal(resample_mask_like(there, volume).array, volume.array)
    padded = volume.padded(4).reoriented(codes)
    np.testing.assert_array_equal(resample_mask_like(padded, volume).array, volume.array)


def test_turned_grids_go_through_the_full_affine():
    mask = Volume(np.zeros((30, 30, 30), np.uint8), np.eye(4))
    mask.array[10:20, 10:20, 10:20] = 7
    turned = np.eye(4)
    c, s = np.cos(0.3), np.sin(0.3)
    turned[:2, :2] = [[c, -s], [s, c]]
    there = resample_mask_like(mask, Volume(np.zeros((40, 40, 30), np.uint8), turned))
    assert set(np.unique(there.array)) == {0, 7}
    centre = there.affine[:3, :3] @ np.argwhere(there.array).mean(0) + there.affine[:3, 3]
    np.testing.assert_allclose(centre, 14.5, atol=0.6)


def test_equal_volumes_give_equal_files(tmp_path):
    volume = oblique()
    for name in ("a.nii.gz", "b.nii.gz"):
        save_volume(volume, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    again = load_volume(tmp_path / "a.nii.gz")
    assert again.array.dtype == np.int16
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-5)


def test_images_are_stored_within_the_documented_step(tmp_path):
    rng = np.random.default_rng(1)
    image = Volume(rng.uniform(-20, 1500, (20, 20, 20)).astype(np.float32), np.eye(4))
    save_image(image, tmp_path / "image.nii.gz")
    again = load_image(tmp_path / "image.nii.gz")
    assert again.array.dtype == np.float32
    assert nib.load(tmp_path / "image.nii.gz").get_data_dtype() == np.uint16
    np.testing.assert_allclose(again.array, image.array, atol=1520 / 65535)
