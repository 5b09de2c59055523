"""N4: its parts against what they should do, the whole against ITK, and bias fields removed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from columna.prepare.bias import correct_bias, place_axes
from columna.prepare.bspline import along_axes, basis, fitting, refining
from columna.prepare.n4 import N4Settings, fit_log_field
from columna.prepare.normalise import normalise
from columna.prepare.sharpen import N_BINS, expected_bins, sharpen
from n4 import field_at, itk_log_field

SPACING = np.array([1.8, 1.4, 4.0])


def two_tissues(shape=(48, 64, 20)):
    """Stripes of two tissues (300 and 700, noise of 20) and a smooth field (logarithm)."""
    random = np.random.default_rng(4)
    tissue = np.where(np.arange(shape[1])[None, :, None] // 10 % 2, 300.0, 700.0)
    tissue = tissue + random.normal(0, 20, shape)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return tissue, 0.3 * x - 0.2 * y**2 + 0.1 * z


@pytest.fixture(scope="module")
def biased():
    """A tissue, the image that its bias field makes of it, and what N4 makes of that."""
    tissue, field = two_tissues()
    array = normalise((tissue * np.exp(field)).astype(np.float32))
    return tissue, array, correct_bias(array, SPACING)


def spread(tissue, array):
    """Coefficient of variation inside the brighter tissue."""
    bright = array[tissue > 500]
    return bright.std() / bright.mean()


# Splines


@given(st.integers(1, 12), st.integers(1, 40))
def test_splines_reproduce_lines(n_spans, n_points):
    positions = np.linspace(0, n_spans, n_points)
    # control points at -1, 0, ... n + 1 spans with these values make the identity
    np.testing.assert_allclose(basis(positions, n_spans) @ np.arange(-1, n_spans + 2), positions)


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_refining_keeps_the_curve(n_spans, seed):
    control = np.random.default_rng(seed).normal(size=n_spans + 3)
    positions = np.linspace(0, n_spans, 50)
    np.testing.assert_allclose(
        basis(2 * positions, 2 * n_spans) @ (refining(n_spans) @ control),
        basis(positions, n_spans) @ control,
        atol=1e-12,
    )


def test_a_fit_goes_through_a_single_point():
    weights = [basis(np.array([1.3]), 3), basis(np.array([0.2]), 1), basis(np.array([2.0]), 2)]
    control = along_axes(np.full((1, 1, 1), 5.0), [fitting(w) for w in weights])
    np.testing.assert_allclose(along_axes(control, weights), 5)
    assert control.shape == (6, 4, 5)
    assert control[-1, 0, 0] == 0  # seen by no point


def test_along_axes_is_a_product_along_each_axis():
    random = np.random.default_rng(1)
    array = random.normal(size=(4, 5, 6))
    matrices = [basis(random.uniform(0, n - 3, m), n - 3) for m, n in ((7, 4), (2, 5), (3, 6))]
    expected = np.einsum("abc,ia,jb,kc->ijk", array, *[m.toarray() for m in matrices])
    np.testing.assert_allclose(along_axes(array, matrices), expected)


# Sharpening


def test_sharpening_narrows_two_tissues_and_keeps_their_means():
    random = np.random.default_rng(2)
    values = np.concatenate([random.normal(mean, 0.07, 20_000) for mean in (5, 6)])
    sharp = sharpen(values)
    for tissue in (slice(20_000), slice(20_000, None)):
        assert sharp[tissue].std() < 0.6 * values[tissue].std()
        assert sharp[tissue].mean() == pytest.approx(values[tissue].mean(), abs=0.01)


def test_the_expected_bin_lies_among_the_occupied_and_empty_ends_stay():
    histogram = np.zeros(N_BINS)
    histogram[[90, 91]] = 10
    expected = expected_bins(histogram, 3.0)
    assert 89 < expected[90] < expected[91] < 92
    assert expected[0] == 0
    assert expected[-1] == N_BINS - 1


# The whole


@pytest.mark.parametrize(
    ("shape", "spacing", "low"),
    [((48, 64, 20), SPACING, 0), ((30, 90, 9), np.array([3.0, 2.0, 5.0]), -400)],
)
def test_the_field_is_that_of_itk(shape, spacing, low):
    tissue, field = two_tissues(shape)
    image = (np.maximum(tissue + low, 0) * np.exp(field)).astype(np.float32)
    choice = N4Settings(step=2, iterations=(8, 8, 8), knot_spacing_mm=60)
    inside = (slice(3, shape[0] - 2), slice(0, shape[1] - 5), slice(1, shape[2]))
    axes = place_axes(shape, spacing, inside, choice)
    samples = image[tuple(a.samples for a in axes)]
    grid = [a.sample_positions for a in axes], [a.n_spans for a in axes]
    ours = field_at(fit_log_field(samples, *grid, choice), *grid)
    theirs = itk_log_field(samples, *grid, choice)
    assert theirs.std() > 0.05
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_smooth_field_is_removed(biased):
    tissue, array, corrected = biased
    assert spread(tissue, array) > 0.2
    assert spread(tissue, corrected) < 0.4 * spread(tissue, array)
    assert corrected.dtype == np.float32


def test_a_flat_image_stays():
    array = np.full((40, 40, 12), 500, np.float32)
    np.testing.assert_array_equal(correct_bias(array, SPACING), array)


def test_the_field_does_not_depend_on_brightness(biased):
    array = biased[1] + np.float32(50)  # N4 takes zeros for ones, however bright the others are
    brighter = correct_bias(np.float32(0.5) * array, SPACING)
    np.testing.assert_allclose(brighter, 0.5 * correct_bias(array, SPACING), rtol=2e-3)


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_the_order_of_the_axes_does_not_matter(biased, order):
    _tissue, array, corrected = biased
    turned = correct_bias(array.transpose(order), SPACING[list(order)])
    np.testing.assert_allclose(turned, corrected.transpose(order), rtol=1e-4)


def test_mirrored_images_have_mirrored_fields_where_samples_are_the_same():
    """One voxel in four leaves nothing to choose where it is centred: 53 = 4 x 13 + 1 voxels."""
    tissue, field = two_tissues((53, 61, 57))
    array = normalise((tissue * np.exp(field)).astype(np.float32))
    spacing = np.array([100 / 52, 100 / 60, 100 / 56])  # no padding
    first = place_axes(array.shape, spacing, tuple(slice(0, n) for n in array.shape))
    mirrored = tuple(slice(None, None, -1) for _ in range(3))
    sample = array[tuple(a.samples for a in first)]
    same = array[mirrored][tuple(a.samples for a in first)][mirrored]
    np.testing.assert_array_equal(sample, same)
    corrected = correct_bias(array, spacing)
    np.testing.assert_allclose(
        correct_bias(array[mirrored], spacing)[mirrored], corrected, rtol=1e-4
    )


def test_the_number_of_threads_does_not_matter(biased):
    _tissue, array, corrected = biased
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            np.testing.assert_array_equal(correct_bias(array, SPACING), corrected)


def test_nothing_bright_enough_is_left_alone(biased):
    array = biased[1] / 100
    assert correct_bias(array, SPACING) is array


def test_voxels_beyond_the_bright_box_stay(biased):
    array = np.pad(biased[1], 7, constant_values=20)
    corrected = correct_bias(array, SPACING)
    rim = np.ones(array.shape, bool)
    rim[7:-7, 7:-7, 7:-7] = False
    assert (corrected[rim] == 20).all()
    assert (corrected[~rim] != array[~rim]).any()


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(*[st.integers(1, 14)] * 3),
    st.tuples(*[st.floats(0.2, 150)] * 3),
    st.integers(0, 2**32 - 1),
)
def test_tiny_images_and_thin_stacks_survive(shape, spacing, seed):
    array = np.random.default_rng(seed).uniform(0, 900, shape).astype(np.float32)
    array.flat[0] = 900
    few = N4Settings(iterations=(3, 3))
    corrected = correct_bias(array, np.array(spacing), few)
    assert np.isfinite(corrected).all()
    assert (corrected[array > 0] > 0).all()


@given(
    st.integers(1, 400),
    st.floats(0.2, 12),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_samples_are_voxels_of_the_mask_and_lie_near_their_positions(size, spacing, start, share):
    first = int(start * (size - 1))
    inside = slice(first, first + 1 + int(share * (size - 1 - first)))
    axis = place_axes((size,), np.array([spacing]), (inside,))[0]
    voxels = np.arange(size)[axis.samples]
    assert 0 < len(voxels) == len(axis.sample_positions)
    assert inside.start <= voxels[0] <= voxels[-1] < inside.stop
    assert len(axis.voxel_positions) == inside.stop - inside.start
    for positions in (axis.sample_positions, axis.voxel_positions):
        assert (positions >= 0).all()
        assert (positions <= axis.n_spans).all()
    read = axis.voxel_positions[voxels - inside.start]
    spans_per_step = 4 * spacing / 100
    assert np.abs(read - axis.sample_positions).max() <= 1.2 * spans_per_step
