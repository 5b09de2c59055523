from types import SimpleNamespace

import cc3d
import numpy as np
import pytest
import torch
from drawn_spine import SPACING_MM, draw_spine

from columna.config import InstanceSettings
from columna.errors import ScanRefused
from columna.images.volume import Volume
from columna.instance import segment_instances
from columna.models.grid import ModelGrid


class Oracle:
    """A network that separates unconnected vertebrae: the middle one and its neighbours."""

    def __init__(self, blind=False):
        self.blind = blind

    def __call__(self, codes):
        answers = [self._answer(window) for window in codes.numpy()]
        classes = torch.from_numpy(np.stack(answers))
        return torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()

    def _answer(self, codes):
        pieces = cc3d.connected_components(codes > 0, connectivity=26)
        answer = np.zeros(codes.shape, np.int64)
        middle = pieces[tuple(n // 2 for n in codes.shape)]
        if self.blind or middle == 0:
            return answer
        heights = cc3d.statistics(pieces)["centroids"][:, 1]
        above = [p for p in range(1, len(heights)) if heights[p] < heights[middle]]
        below = [p for p in range(1, len(heights)) if heights[p] > heights[middle]]
        answer[pieces == middle] = 2
        if above:
            answer[pieces == max(above, key=lambda p: heights[p])] = 1
        if below:
            answer[pieces == min(below, key=lambda p: heights[p])] = 3
        return answer


def model(blind=False):
    return SimpleNamespace(
        logits=Oracle(blind),
        windows_at_once=1,
        config=SimpleNamespace(
            cutout_size=(88, 80, 16),
            mapping={41: 1, 42: 2, 43: 3, 44: 4, 45: 5, 46: 6, 47: 7, 48: 8, 49: 9, 50: 9, 51: 9},
            corpus_size_cleaning=100,
            vert_size_threshold=250,
        ),
        grid=ModelGrid(("P", "I", "R"), SPACING_MM, SPACING_MM),
        device=torch.device("cpu"),
        compute=torch.float32,
    )


def same_partition(a, b):
    pairs = {(int(x), int(y)) for x, y in zip(a.ravel(), b.ravel(), strict=True)}
    return len(pairs) == len(np.unique(a)) == len(np.unique(b)) and (0, 0) in pairs


def test_finds_the_drawn_vertebrae():
    drawn = draw_spine(6)
    semantic, truth = drawn.volumes()
    found = segment_instances(semantic, model(), InstanceSettings())
    assert found.array.dtype == np.uint8
    assert same_partition(found.array, truth.array)
    np.testing.assert_allclose(found.affine, semantic.affine)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SLA", "IRP"])
def test_does_not_depend_on_how_the_mask_is_stored(codes):
    semantic, _ = draw_spine(4).volumes()
    expected = segment_instances(semantic, model(), InstanceSettings())
    found = segment_instances(semantic.reoriented(tuple(codes)), model(), InstanceSettings())
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-9)


def test_the_answer_is_in_the_grid_of_the_model():
    semantic, truth = draw_spine(4).volumes()
    halved = semantic.affine @ np.diag([0.5, 0.5, 1, 1])
    fine = Volume(semantic.array.repeat(2, 0).repeat(2, 1), halved)
    found = segment_instances(fine, model(), InstanceSettings())
    assert found.shape == semantic.shape
    np.testing.assert_allclose(found.spacing_mm, SPACING_MM)
    assert same_partition(found.array, truth.array)


def test_air_around_the_mask_changes_nothing():
    semantic, _ = draw_spine(4).volumes()
    found = segment_instances(semantic.padded(7), model(), InstanceSettings())
    expected = segment_instances(semantic, model(), InstanceSettings())
    np.testing.assert_array_equal(found.array[7:-7, 7:-7, 7:-7], expected.array)


@pytest.mark.parametrize("replacement", [0, 41])
def test_without_bodies_the_scan_is_refused(replacement):
    semantic, _ = draw_spine(3).volumes()
    semantic.array[semantic.array == 49] = replacement
    with pytest.raises(ScanRefused, match="vertebral body") as refused:
        segment_instances(semantic, model(), InstanceSettings())
    assert refused.value.code == "no_bodies"


def test_specks_of_body_are_refused_as_no_bodies():
    semantic, _ = draw_spine(3).volumes()
    semantic.array[semantic.array == 49] = 0
    semantic.array[10:13, 10:13, 5:7] = 49
    with pytest.raises(ScanRefused) as refused:
        segment_instances(semantic, model(), InstanceSettings())
    assert refused.value.code == "no_bodies"


def test_a_network_that_sees_nothing_is_refused_as_no_instances():
    semantic, _ = draw_spine(3).volumes()
    with pytest.raises(ScanRefused) as refused:
        segment_instances(semantic, model(blind=True), InstanceSettings())
    assert refused.value.code == "no_instances"
