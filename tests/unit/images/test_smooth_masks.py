"""Masks on a finer grid: smooth borders, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.images.smooth_masks import smooth_mask_like
from columna.images.volume import Volume, resample_mask_like, scaled_affine


def grid(shape, ratio=(1, 1, 1)):
    return Volume(np.zeros(shape, np.uint8), scaled_affine(np.eye(4), ratio))


def labels(seed, shape=(6, 5, 4), values=4):
    return np.random.default_rng(seed).integers(0, values, shape).astype(np.uint8)


def voted(mask, positions):
    """The definition, label by label: linear interpolation of each, and the largest share."""
    found = np.zeros([len(p) for p in positions], np.uint8)
    most = np.full(found.shape, -1.0)
    for label in np.unique(mask):
        share = (mask == label).astype(float)
        for axis, at in enumerate(positions):
            low = np.minimum(np.floor(at).astype(int), mask.shape[axis] - 2)
            rest = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
            share = share.take(low, axis) * (1 - rest) + share.take(low + 1, axis) * rest
        better = share > most + 1e-6
        found[better], most = label, np.maximum(most, share)
    return found, most


@pytest.mark.parametrize("seed", range(3))
def test_the_label_with_the_largest_share_wins(seed):
    mask = Volume(labels(seed), np.eye(4))
    ratio = (0.37, 0.61, 0.83)
    fine = grid((13, 6, 3), ratio)
    found = smooth_mask_like(mask, fine).array
    positions = [np.arange(n) * r for n, r in zip(fine.shape, ratio, strict=True)]
    expected, most = voted(
        mask.array, [p.clip(0, n - 1) for p, n in zip(positions, (6, 5, 4), strict=True)]
    )
    # equal votes may go either way
    wrong = found != expected
    for index in np.argwhere(wrong):
        share = sum(
            np.prod(
                [
                    max(0, 1 - abs(p[i] - c))
                    for p, i, c in zip(positions, index, corner, strict=True)
                ]
            )
            for corner in np.argwhere(mask.array == found[tuple(index)])
        )
        assert share == pytest.approx(most[tuple(index)], abs=1e-4)
    assert wrong.mean() < 0.05


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_equal_grids_change_nothing(seed):
    mask = Volume(labels(seed), np.eye(4))
    assert np.array_equal(smooth_mask_like(mask, mask).array, mask.array)


@given(st.integers(0, 10_000), st.floats(0.3, 1.4), st.floats(0.3, 1.4))
@settings(max_examples=30, deadline=None)
def test_no_label_appears_that_is_not_next_to_the_voxel(seed, a, b):
    mask = Volume(labels(seed, values=9), np.eye(4))
    found = smooth_mask_like(mask, grid((7, 8, 5), (a, b, 0.5))).array
    assert set(np.unique(found)) <= set(np.unique(mask.array))


def test_a_ball_comes_out_rounder_than_with_the_nearest_voxel():
    def ball(shape, spacing):
        at = np.stack(
            np.meshgrid(
                *(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
            )
        )
        middle = np.array([20.0, 20.0, 20.0]).reshape(3, 1, 1, 1)
        return ((at - middle) ** 2).sum(axis=0) < 14**2

    coarse = Volume(
        ball((36, 36, 14), (1.2, 1.2, 3.3)).astype(np.uint8), np.diag([1.2, 1.2, 3.3, 1])
    )
    fine = Volume(np.zeros((80, 80, 40), np.uint8), np.diag([0.5, 0.5, 1.0, 1]))
    truth = ball(fine.shape, (0.5, 0.5, 1.0))

    def dice(array):
        return 2 * (array & truth).sum() / (array.sum() + truth.sum())

    smooth = dice(smooth_mask_like(coarse, fine).array > 0)
    nearest = dice(resample_mask_like(coarse, fine).array > 0)
    assert smooth > nearest + 0.005
    assert smooth > 0.955


def test_the_result_does_not_depend_on_how_the_grid_is_stored():
    mask = Volume(labels(3), np.diag([1.2, 1.2, 3.3, 1.0]))
    fine = Volume(np.zeros((12, 10, 12), np.uint8), np.diag([0.5, 0.5, 1.0, 1.0]))
    turned = fine.reoriented(("P", "I", "R"))
    one = smooth_mask_like(mask, fine)
    other = smooth_mask_like(mask, turned).reoriented(fine.orientation)
    assert (one.array == other.array).mean() > 0.97  # equal votes go to another side


@pytest.mark.parametrize("shape", [(1, 5, 4), (6, 1, 1), (1, 1, 1)])
def test_masks_of_one_voxel_along_an_axis_work(shape):
    mask = Volume(labels(1, shape), np.eye(4))
    assert smooth_mask_like(mask, grid((5, 5, 5), (0.7, 0.7, 0.7))).shape == (5, 5, 5)
