"""No single voxel, fill value or overflow moves what a scan is prepared to."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from columna.config import PrepareSettings
from columna.images.intensity import imaged_box, signal_box, signal_range
from columna.images.volume import Volume
from columna.measure.anatomy.fov import FieldOfView
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare import Scan, prepare_scan
from columna.prepare.facts import support_fraction
from columna.prepare.repair import repaired
from columna.prepare.stations import seams_si_mm

SETTINGS = PhantomSettings(
    seed=4, region="lumbar", spacing_mm=(2.4, 2.4, 4.0), fov_mm=(140.0, 190.0, 72.0)
)
SAME = 0.05
"""Mean difference of two prepared images, in standard deviations: masks keep a Dice of 0.99."""


@dataclass(frozen=True)
class Grid:
    """A grid coarser than the scan, so that it is interpolated."""

    orientation: tuple[str, str, str] = ("P", "I", "R")

    def target_spacing_mm(self, _):
        return 3.0, 3.0, 4.0


@pytest.fixture(scope="module")
def image():
    return make_phantom(SETTINGS).image


@pytest.fixture(scope="module")
def plain(image):
    return prepared(image, image.array)


def prepared(image, array):
    """What the network sees of other voxels on the grid of `image`: zero mean, unit spread."""
    scan = Scan(image.with_array(repaired(array)[0]), {})
    found = prepare_scan(scan, Grid(), PrepareSettings())
    return replace(found, array=(found.array - found.array.mean()) / found.array.std())


def assert_same(found, expected):
    np.testing.assert_allclose(found.affine, expected.affine)
    assert found.shape == expected.shape
    assert np.abs(found.array - expected.array).mean() < SAME


# Single voxels


@settings(max_examples=25, deadline=None)
@given(st.floats(-1.7e308, 1.7e308) | st.floats(-3000, 3000), st.integers(0, 2**31), st.booleans())
@example(-32767.0, 12345, False)
@example(32516.0, 1, True)
@example(-400.0, 999, False)
def test_any_single_voxel_of_any_value_changes_next_to_nothing(image, plain, value, place, at_rim):
    array = image.array.astype(float)
    array.flat[0 if at_rim else place % array.size] = value
    assert_same(prepared(image, array), plain)


@pytest.mark.parametrize("value", [-32768, -500, -100, 2500, 30000, 32767])
def test_outliers_in_stored_types_change_next_to_nothing(image, plain, value):
    array = image.array.astype(np.int16)
    array[3, 5, 7] = value
    assert_same(prepared(image, array), plain)


def test_outliers_of_both_signs_and_a_fill_value_at_once(image):
    array = image.array.astype(np.int16)
    array[:4] = 0
    expected = prepared(image, array)
    array[:4] = -1024
    array[20, 30, 7], array[1, 30, 7], array[25, 40, 8] = -32767, -32767, 32516
    _, outliers_n = repaired(array)
    assert outliers_n == 3
    assert_same(prepared(image, array), expected)


# Many outliers


@pytest.mark.parametrize("value", [-32767, 32767, 8000])
@pytest.mark.parametrize("count", [30, 100, 300])
def test_many_scattered_outliers(image, plain, value, count):
    array = image.array.astype(np.int16)
    array.flat[np.random.default_rng(2).choice(array.size, count, replace=False)] = value
    found, outliers_n = repaired(array)
    assert outliers_n == count
    assert found.max() <= image.array.max() + 1
    assert_same(prepared(image, array), plain)


@pytest.mark.parametrize("value", [-32767, 32767])
def test_rows_and_planes_of_outliers(image, plain, value):
    array = image.array.astype(np.int16)
    array[:, 30, 9] = value
    assert repaired(array)[1] == len(array)
    assert_same(prepared(image, array), plain)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.08, 0.2])
@pytest.mark.parametrize("value", [-1024, -32767])
def test_a_dark_block_inside_the_scan_counts_as_zero(image, value, share):
    array = image.array.astype(np.int16)
    side = round((share * array.size / 8) ** 0.5)
    block = slice(12, 12 + side), slice(12, 12 + side), slice(5, 13)
    array[block] = 0
    expected = prepared(image, array)
    array[block] = value
    assert_same(prepared(image, array), expected)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.08])
def test_a_bright_block_leaves_all_other_voxels_as_they_are(image, share):
    array = image.array.astype(np.int16)
    side = round((share * array.size / 8) ** 0.5)
    block = slice(12, 12 + side), slice(12, 12 + side), slice(5, 13)
    array[block] = 0
    expected = array.copy()
    array[block] = 32767
    found, outliers_n = repaired(array)
    assert outliers_n == side * side * 8
    found[block] = 0
    np.testing.assert_array_equal(found, expected)


def test_dark_outliers_of_a_shifted_scan(image):
    array = image.array.astype(np.int16) - 500
    expected = prepared(image, array)
    array.flat[np.random.default_rng(3).choice(array.size, 300, replace=False)] = -32767
    assert repaired(array)[1] == 300
    assert_same(prepared(image, array), expected)


def test_the_scale_of_a_scan_does_not_count(image, plain):
    for factor in (1000, 0.001, 1e-30, 1e30):
        assert_same(prepared(image, image.array * np.float64(factor)), plain)
    for offset in (-200, -1024, 500, 1e6):
        assert_same(prepared(image, image.array + np.float64(offset)), plain)


def test_a_voxel_in_empty_margins_does_not_move_the_grid(image):
    array = np.pad(image.array, ((6, 6), (0, 0), (0, 0)))
    wider = Volume(array, image.affine)
    expected = prepared(wider, array)
    array = array.copy()
    array[0, 3, 3] = array[-1, 3, 3] = array.max()
    assert_same(prepared(wider, array), expected)
    assert imaged_box(array)[0] == slice(6, len(array) - 6)
    assert FieldOfView.of(wider, wider.with_array(array)).start[0] == 6
    assert support_fraction(array) == pytest.approx((len(array) - 12) / len(array))


def test_a_dark_voxel_does_not_make_padding_part_of_the_field_of_view(image):
    array = np.pad(image.array.astype(np.int16), ((6, 0), (0, 0), (0, 0)))
    array[30, 30, 7] = -50
    assert imaged_box(array)[0] == slice(6, len(array))


def test_a_voxel_in_the_padding_hides_no_seam():
    array = np.zeros((9, 200, 200), np.float32)
    random = np.random.default_rng(1)
    for station, shift in enumerate((0, 6)):
        part = array[:, 20 + shift : 180 + shift, 100 * station : 100 * station + 100]
        part[:] = random.rayleigh(50, part.shape)
    affine = np.diag([3.3, 0.9, 0.9, 1])
    expected = seams_si_mm(Volume(array, affine))
    array[4, 2, 95] = 3000
    array[5, 198, 105] = -3000
    assert seams_si_mm(Volume(array, affine)) == expected
    assert len(expected) == 1


# Ordinary scans


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_ordinary_scans_stay_as_they_are(image, dtype):
    array = image.array.astype(dtype)
    found, outliers_n = repaired(array)
    assert found is array
    assert outliers_n == 0
    limits = signal_range(array)
    assert (limits.low, limits.high) == (0, array.max())


def test_saturated_fat_is_no_fill(image):
    array = np.minimum(image.array / 2, 255).astype(np.uint8)
    array[-8:] = 255
    assert repaired(array)[0] is array
    assert signal_range(array).high == 255


def test_sparse_planes_beside_the_signal_belong_to_it():
    mask = np.zeros((20, 40, 40), bool)
    mask[5:15] = True
    mask[4, 3, 3] = mask[1, 3, 3] = True
    assert signal_box(mask) == (slice(4, 15), slice(0, 40), slice(0, 40))
    assert signal_box(np.zeros((4, 4, 4), bool)) is None


# Fill values and interpolation


@pytest.mark.parametrize("fill", [-1, -1000, -1024, -3024, -32768, 32767])
def test_any_fill_value_is_as_good_as_zero(image, fill):
    array = image.array.astype(np.int16)
    array[:, :9] = array[-5:] = 0
    expected = prepared(image, array)
    array[:, :9] = array[-5:] = fill
    found = prepared(image, array)
    np.testing.assert_allclose(found.array, expected.array, atol=1e-5)
    assert_same(found, expected)


def test_two_fill_values_and_blurred_borders(image):
    array = image.array.astype(np.float32)
    array[:, :9] = 0
    expected = prepared(image, array)
    array[:, :9], array[:, :3] = -1024, -3024
    blurred = ndimage.gaussian_filter(array, (0, 0.5, 0))
    array[:, 8] = blurred[:, 8]
    assert_same(prepared(image, array), expected)


def test_undershoot_of_interpolation_counts_as_zero(image):
    array = image.array.astype(np.float32)
    small = ndimage.zoom(array, (0.5, 0.5, 1), order=1)
    factors = np.array(array.shape) / small.shape
    waved = ndimage.zoom(small, factors, order=3)
    assert waved.min() < -5
    assert_same(prepared(image, waved), prepared(image, np.maximum(waved, 0)))


def test_overflowed_fat_is_bright_again(image):
    true = image.array * (32767 / np.quantile(image.array, 0.98))
    array = np.round(true).astype(np.int64).astype(np.int16)
    assert (array < -20_000).any()
    found, outliers_n = repaired(array)
    assert outliers_n == 0
    np.testing.assert_array_equal(found, np.round(true))


def test_negative_numbers_of_a_shifted_scan_are_no_overflow(image):
    array = image.array.astype(float)
    full = np.round((array - array.min()) / np.ptp(array) * 65535 - 32768).astype(np.int16)
    assert repaired(full)[0] is full
