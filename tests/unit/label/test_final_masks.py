"""The label stage as a whole."""

from itertools import permutations, product

import numpy as np
import pytest
from drawn_spine import add_space_above, draw_spine
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import levels
from columna.config import LabelSettings
from columna.images.volume import PIR, Volume
from columna.label import label_masks

ORIENTATIONS = [codes for order in permutations(("PA", "IS", "RL")) for codes in product(*order)]
TOP_DOWN = LabelSettings(naming="top_down")
LEFT_RIGHT = np.arange(256, dtype=np.uint8)
LEFT_RIGHT[[43, 44, 45, 46, 47, 48]] = [44, 43, 46, 45, 48, 47]


def spoilt_spine():
    """A drawn spine that gives every step something to do."""
    drawn = draw_spine(5, dens=True)
    semantic, instance = drawn.semantic, drawn.instance
    instance[instance > 0] += 1
    instance[:, :22][instance[:, :22] > 0] = 1  # the dens is an instance of its own
    instance[(semantic == 45) & (instance == 3)] = 0
    instance[:, 75] = 0
    rng = np.random.default_rng(4)
    bone = np.flatnonzero((semantic.ravel() > 40) & (semantic.ravel() < 50))
    instance.reshape(-1)[rng.choice(bone, 800, replace=False)] = 0
    return drawn


def label(semantic, instance, grid=None, settings=None):
    return label_masks(grid or semantic, semantic, instance, settings or LabelSettings())


def arrays(result, codes=PIR):
    return [v.reoriented(codes).array for v in (result.semantic, result.instance)]


def test_names_discs_and_plates_of_a_clean_spine():
    drawn = draw_spine(6)
    result = label(*drawn.volumes())
    assert [entry["level"] for entry in result.levels] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert [entry["label"] for entry in result.levels] == [19, 20, 21, 22, 23, 24]
    assert [entry["index"] for entry in result.levels] == [1, 2, 3, 4, 5, 6]
    assert {entry["level_anchor"] for entry in result.levels} == {"sacrum"}
    semantic, instance = arrays(result)
    expected = np.array([0, 19, 20, 21, 22, 23, 24])[drawn.instance]
    vertebra = drawn.instance > 0
    np.testing.assert_array_equal(instance[vertebra], expected[vertebra])
    np.testing.assert_array_equal(np.unique(instance[drawn.semantic == 100]), range(119, 125))
    np.testing.assert_array_equal(instance == 26, drawn.semantic == 26)
    assert set(np.unique(semantic[drawn.semantic == 62])) == {52, 53}
    other = drawn.semantic != 62
    np.testing.assert_array_equal(semantic[other], drawn.semantic[other])
    assert semantic.dtype == instance.dtype == np.uint8


def test_every_spoilt_part_is_repaired():
    result = label(*spoilt_spine().volumes())
    truth = draw_spine(5, dens=True)
    _, instance = arrays(result)
    labels = np.array([0, *(entry["label"] for entry in result.levels)])
    assert len(labels) == 6
    vertebra = truth.instance > 0
    np.testing.assert_array_equal(instance[vertebra], labels[truth.instance][vertebra])


@pytest.mark.parametrize("codes", ORIENTATIONS, ids="".join)
def test_does_not_depend_on_the_orientation_of_the_scan(codes):
    semantic, instance = spoilt_spine().volumes()
    expected = label(semantic, instance)
    grid = semantic.reoriented(codes)
    result = label(semantic, instance, grid)
    np.testing.assert_allclose(result.semantic.affine, grid.affine)
    assert result.semantic.shape == grid.shape
    for got, same in zip(arrays(result), arrays(expected), strict=True):
        np.testing.assert_array_equal(got, same)
    assert result.levels == expected.levels
    assert result.naming == expected.naming


@given(numbers=st.lists(st.integers(1, 900), min_size=6, max_size=6, unique=True))
@settings(max_examples=8, deadline=None)
def test_does_not_depend_on_the_numbers_of_raw_instances(numbers):
    semantic, instance = spoilt_spine().volumes()
    shuffled = instance.with_array(np.array([0, *numbers], np.uint16)[instance.array])
    for got, same in zip(
        arrays(label(semantic, shuffled)), arrays(label(semantic, instance)), strict=True
    ):
        np.testing.assert_array_equal(got, same)


def test_a_mirrored_scan_swaps_left_and_right_only():
    semantic, instance = spoilt_spine().volumes()
    expected = arrays(label(semantic, instance))
    mirrored = label(
        semantic.with_array(LEFT_RIGHT[semantic.array[:, :, ::-1]]),
        instance.with_array(instance.array[:, :, ::-1]),
    )
    got = arrays(mirrored)
    np.testing.assert_array_equal(got[0], LEFT_RIGHT[expected[0][:, :, ::-1]])
    np.testing.assert_array_equal(got[1], expected[1][:, :, ::-1])


@pytest.mark.parametrize("width", [1, 5])
def test_air_around_the_scan_changes_nothing(width):
    semantic, instance = spoilt_spine().volumes()
    expected = arrays(label(semantic, instance))
    grid = semantic.padded(width)
    inside = (slice(width, -width),) * 3
    for got, same in zip(arrays(label(semantic, instance, grid)), expected, strict=True):
        np.testing.assert_array_equal(got[inside], same)
        assert got.sum() == same.sum()


def test_masks_of_another_grid_are_brought_to_the_grid_of_the_scan():
    semantic, instance = draw_spine(5).volumes()
    fine = semantic.affine @ np.diag([0.5, 0.5, 1.0, 1.0])
    fine[:3, 3] = semantic.affine[:3, 3]
    shape = (99, 2 * semantic.shape[1] - 1, 14)
    grid = Volume(np.broadcast_to(np.uint8(0), shape), fine)
    result = label(semantic, instance, grid)
    coarse = arrays(label(semantic, instance))
    for got, same in zip(arrays(result), coarse, strict=True):
        np.testing.assert_array_equal(got[::2, ::2], same)


def test_the_inner_body_is_folded_into_the_body():
    semantic, instance = draw_spine(4).volumes()
    inner = semantic.array.copy()
    inner[8:20, :, 5:9][inner[8:20, :, 5:9] == 49] = 50
    got = label(semantic.with_array(inner), instance)
    for a, b in zip(arrays(got), arrays(label(semantic, instance)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_empty_mask_gives_empty_masks():
    semantic, instance = draw_spine(2).volumes()
    nothing = semantic.with_array(np.zeros_like(semantic.array))
    result = label(nothing, instance)
    assert not result.semantic.array.any()
    assert not result.instance.array.any()
    assert result.levels == []
    assert result.naming["status"] == "empty"


@pytest.mark.parametrize("settings", [LabelSettings(), TOP_DOWN])
def test_a_mask_without_instances_gives_sacrum_only(settings):
    semantic, instance = draw_spine(2).volumes()
    nothing = instance.with_array(np.zeros_like(instance.array))
    result = label(semantic, nothing, settings=settings)
    assert result.levels == []
    assert np.unique(result.instance.array).tolist() == [0, 26]


@pytest.mark.parametrize("settings", [LabelSettings(), TOP_DOWN])
@pytest.mark.parametrize("sacrum", [True, False])
def test_more_vertebrae_than_a_spine_has_survive(settings, sacrum):
    drawn = draw_spine(31, sacrum=sacrum)
    result = label(*drawn.volumes(), settings=settings)
    labels = [entry["label"] for entry in result.levels]
    assert len(set(labels)) == 31, "the package runs into the sacrum's 26 and fails"
    assert not {26, 27, 28, 80} & set(labels)
    _, instance = arrays(result)
    np.testing.assert_array_equal(
        instance[drawn.instance > 0], np.array([0, *labels])[drawn.instance[drawn.instance > 0]]
    )
    assert all((e["level"] is None) == (e["label"] not in levels()) for e in result.levels) or (
        result.naming["status"] == "unnamed"
    )


def test_top_down_numbers_from_c2_whatever_is_seen():
    drawn = draw_spine(5)
    add_space_above(drawn)
    result = label(*drawn.volumes(), settings=TOP_DOWN)
    assert [entry["label"] for entry in result.levels] == [2, 3, 4, 5, 6]
    assert 101 in result.instance.array
    assert not np.isin((126, 226), result.instance.array).any()


def test_the_input_masks_stay_as_they_are():
    semantic, instance = spoilt_spine().volumes()
    before = semantic.array.copy(), instance.array.copy()
    label(semantic, instance)
    np.testing.assert_array_equal(semantic.array, before[0])
    np.testing.assert_array_equal(instance.array, before[1])
