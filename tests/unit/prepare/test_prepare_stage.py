"""Normalisation, bias correction and the way from a scan to the network's grid."""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.config import PrepareSettings
from columna.images.volume import Volume
from columna.prepare import Scan, prepare_scan
from columna.prepare.bias import correct_bias
from columna.prepare.normalise import MAXIMUM, normalise

PLAIN = PrepareSettings(n4=False)


@dataclass(frozen=True)
class Grid:
    """A model grid of fixed spacing, or of the scan's own."""

    spacing_mm: tuple[float, float, float] | None = None
    orientation: tuple[str, str, str] = ("P", "I", "R")

    def target_spacing_mm(self, spacing_mm):
        return self.spacing_mm or spacing_mm


def scan_of(array, spacing=(0.9, 0.9, 3.3), orientation=("P", "I", "R")):
    affine = Volume(np.zeros((2, 2, 2)), np.eye(4)).reoriented(orientation).affine
    affine = affine @ np.diag([*spacing, 1])
    return Scan(Volume(array, affine), {})


# Normalisation


def test_the_range_of_spineps_is_only_shifted():
    array = np.array([[[-5, 0, 95, 1000]]], np.int16)
    np.testing.assert_array_equal(normalise(array), [[[0, 5, 100, 1005]]])


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("i2", -32768, 32767),
        ("u2", 0, 65535),
        ("i1", -128, 127),
        ("i4", -(2**31), 2**31 - 1),
        ("i8", -(2**63), 2**63 - 1),
        ("u8", 0, 2**64 - 1),
        ("i4", 10**9, 10**9 + 5000),
        ("f4", 0, 1),
        ("f4", -3e38, 3e38),
        ("f8", -1.7e308, 1.7e308),
        ("f8", 0, 1e-310),
        ("f4", 0, 59.9),
        ("u1", 0, 255),
    ],
)
def test_any_range_keeps_its_order(dtype, low, high):
    dtype = np.dtype(dtype)
    steps = np.arange(1001, dtype=np.longdouble) / 1000
    values = (steps * np.longdouble(high) + (1 - steps) * np.longdouble(low)).astype(dtype)
    values[0], values[-1] = low, high
    result = normalise(values.reshape(7, 11, 13)).ravel()
    assert result.dtype == np.float32
    assert result.min() == 0
    assert 60 <= result.max() <= MAXIMUM
    expected = steps * float(result.max())
    # the darkest of 1001 voxels may be an outlier: it counts as the next one
    np.testing.assert_allclose(result, expected.astype(float), atol=0.002 * MAXIMUM)
    assert (np.diff(result) >= 0).all()
    assert len(np.unique(result)) >= len(np.unique(values)) - 1


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-20, 1e20), st.one_of(st.just(0.0), st.floats(0.2, 1e3), st.floats(-1e3, -0.2)))
def test_gain_and_offset_do_not_matter_beyond_the_range_of_spineps(gain, offset):
    array = np.random.default_rng(0).random((4, 5, 6))
    array.flat[:3] = 0, 0, 1  # content that begins near 0 begins at 0
    gained = array * gain + offset * gain
    span = gained.max() - gained.min()
    if 60 <= span <= MAXIMUM:
        gain = gain * 1e4
        gained = array * gain + offset * gain
    np.testing.assert_allclose(normalise(gained), normalise(array), atol=1e-3)


def test_constant_gives_zeros():
    assert not normalise(np.full((2, 3, 4), 7)).any()


# The whole stage


def test_padding_orientation_and_grid():
    array = np.random.default_rng(5).integers(0, 1000, (40, 50, 9)).astype(np.int16)
    array[:3] = 0
    prepared = prepare_scan(scan_of(array), Grid(), PLAIN)
    assert prepared.shape == (45, 58, 17)  # the first three planes are empty
    assert prepared.orientation == ("P", "I", "R")
    inner = prepared.array[4:-4, 4:-4, 4:-4]
    np.testing.assert_array_equal(inner, array[3:])
    assert prepared.array.sum() == inner.sum()
    origin = prepared.affine @ [4, 4, 4, 1]
    np.testing.assert_allclose(origin, scan_of(array).volume.affine @ [3, 0, 0, 1], atol=1e-9)


def test_one_resampling_to_the_spacing_of_the_model():
    x, y = np.meshgrid(np.linspace(0, 3, 60), np.linspace(0, 2, 80), indexing="ij")
    array = (500 + 300 * np.sin(x) * np.cos(y))[..., None].repeat(9, axis=2).astype(np.float32)
    grid = Grid((0.6, 1.2, 3.3))
    scan = scan_of(array)
    prepared = prepare_scan(scan, grid, PLAIN)
    np.testing.assert_allclose(prepared.spacing_mm, grid.spacing_mm)
    assert prepared.array.dtype == np.float32
    assert prepared.shape == (round(68 * 0.9 / 0.6), round(88 * 0.9 / 1.2), 17)
    # a voxel in the middle, looked up through the affines, has the value of the smooth image
    index = np.array([50, 34, 8, 1])
    i, j, _k = (np.linalg.inv(scan.volume.affine) @ prepared.affine @ index)[:3]
    expected = 300 * np.sin(i * 3 / 59) * np.cos(j * 2 / 79) + 500 - array.min()
    assert prepared.array[tuple(index[:3])] == pytest.approx(expected, abs=0.5)


def test_all_48_orientations_give_the_same_image():
    array = np.random.default_rng(6).integers(0, 3000, (20, 24, 7)).astype(np.int16)
    scan = scan_of(array)
    grid = Grid((1.0, 0.8, 3.0))
    reference = prepare_scan(scan, grid, PrepareSettings())
    names = ("LR", "AP", "IS")
    orientations = [
        [names[axis][side] for axis, side in zip(order, sides, strict=True)]
        for order in permutations(range(3))
        for sides in product(range(2), repeat=3)
    ]
    assert len(orientations) == 48
    for codes in orientations:
        stored = Scan(scan.volume.reoriented(codes), {})
        prepared = prepare_scan(stored, grid, PrepareSettings())
        np.testing.assert_array_equal(prepared.array, reference.array)
        np.testing.assert_allclose(prepared.affine, reference.affine, atol=1e-9)


def textured(shape):
    """Noise under a smooth bias field, 1 and more."""
    noise = np.random.default_rng(8).uniform(200, 900, shape)
    return (noise * np.linspace(0.6, 1.2, shape[0])[:, None, None] + 1).astype(np.float32)


def test_n4_works_on_images_stored_as_0_to_1():
    array = normalise(textured((40, 50, 9)))
    expected = prepare_scan(scan_of(array * (MAXIMUM / array.max())), Grid(), PrepareSettings())
    prepared = prepare_scan(scan_of(array / array.max()), Grid(), PrepareSettings())
    np.testing.assert_allclose(prepared.array, expected.array, rtol=1e-3, atol=0.1)
    assert not np.allclose(prepared.array, prepare_scan(scan_of(array), Grid(), PLAIN).array)


def test_n4_sees_the_voxels_that_it_sees_in_a_scan_as_stored():
    array = normalise(textured((40, 50, 18)))
    scan = scan_of(array, orientation=("P", "S", "R"))
    expected = normalise(correct_bias(array, scan.volume.spacing_mm))
    prepared = prepare_scan(scan, Grid(), PrepareSettings())
    np.testing.assert_allclose(prepared.array[4:-4, 4:-4, 4:-4], expected[:, ::-1], rtol=1e-6)


def test_n4_runs_along_the_axes_of_the_file_when_asked_to():
    array = normalise(textured((40, 50, 18)))
    scan = scan_of(array, orientation=("P", "S", "L"))
    expected = normalise(correct_bias(array, scan.volume.spacing_mm))
    settings = PrepareSettings(n4_axes="stored")
    prepared = prepare_scan(scan, Grid(), settings).array[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(prepared, expected[:, ::-1, ::-1], rtol=1e-6)
    other = prepare_scan(scan, Grid(), PrepareSettings()).array[4:-4, 4:-4, 4:-4]
    assert np.abs(other / np.maximum(prepared, 1) - 1).max() > 0.001, "it makes a difference"


@pytest.mark.parametrize("before", [(0, 0, 1), (3, 11, 2)])
def test_empty_margins_do_not_move_the_grid(before):
    scan = scan_of(textured((48, 64, 20)), (1.8, 1.4, 4.0))
    margins = [(width, 2) for width in before]
    affine = scan.volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    wider = Scan(Volume(np.pad(scan.volume.array, margins), affine), {})
    grid = Grid((0.7, 1.1, 3.0))
    # one empty plane, for the minimum of both scans to be zero
    plain = Volume(np.pad(scan.volume.array, ((0, 0), (0, 0), (0, 1))), scan.volume.affine)
    expected = prepare_scan(Scan(plain, {}), grid, PrepareSettings())
    prepared = prepare_scan(wider, grid, PrepareSettings())
    np.testing.assert_array_equal(prepared.array, expected.array)
    np.testing.assert_allclose(prepared.affine, expected.affine, atol=1e-9)


def test_the_scan_itself_is_not_changed():
    array = np.random.default_rng(7).random((20, 24, 7)).astype(np.float32)
    before = array.copy()
    prepare_scan(scan_of(array), Grid(), PLAIN)
    np.testing.assert_array_equal(array, before)
