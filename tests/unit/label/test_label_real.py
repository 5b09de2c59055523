"""The label stage on masks of a real lumbar scan (panoptica)."""

import numpy as np
import pytest

from columna.config import LabelSettings
from columna.images.volume import load_volume
from columna.label import label_masks
from columna.label.points import poi_json
from published import published_masks

T11_MINUS_2 = 16


@pytest.fixture(scope="module")
def masks():
    return [load_volume(path) for path in published_masks()]


@pytest.fixture(scope="module")
def result(masks):
    """Label vertebrae that come in any order, without discs, plates and sacrum."""
    semantic, instance = masks
    shuffled = np.zeros(256, np.uint8)
    shuffled[2:9] = np.random.default_rng(3).permutation(np.arange(1, 8))
    return label_masks(
        semantic, semantic, instance.with_array(shuffled[instance.array]), LabelSettings()
    )


def test_levels_are_counted_from_the_sacrum(result):
    names = [entry["level"] for entry in result.levels]
    assert names == ["T11", "T12", "L1", "L2", "L3", "L4", "L5"]
    assert {entry["level_anchor"] for entry in result.levels} == {"sacrum"}
    assert result.naming["sacrum_mm3"] > 10_000
    sure = [entry["level_confidence"] for entry in result.levels]
    assert 0.6 < min(sure) <= max(sure) < 0.95


def test_vertebrae_discs_and_plates_are_those_of_the_published_mask(masks, result):
    published = masks[1].array
    expected = np.where((published == 0) | (published == 26), published, published + T11_MINUS_2)
    different = result.instance.array != expected
    assert different.sum() < 50
    assert set(np.unique(result.instance.array)) == set(np.unique(expected))


def test_every_plate_gets_a_side_and_nothing_else_changes(masks, result):
    before, after = masks[0].array, result.semantic.array
    plates = before == 62
    assert set(np.unique(after[plates])) == {52, 53}
    np.testing.assert_array_equal(after[~plates], before[~plates])


def test_points_run_down_the_spine(result):
    _, points = poi_json(result)
    rows = [points[str(level)]["50"][1] for level in (18, 19, 20, 21, 22, 23, 24)]
    assert rows == sorted(rows)
    for upper, lower in ((20, 21), (23, 24)):
        assert points[str(upper)]["50"][1] < points[str(upper)]["100"][1]
        assert points[str(upper)]["100"][1] < points[str(lower)]["50"][1]
        assert points[str(upper)]["52"][1] < points[str(upper)]["53"][1]
