from types import SimpleNamespace

import numpy as np
import pytest
import torch

from columna.errors import ModelError
from columna.instance.windows import (
    classify,
    cut,
    encode,
    predict_parts,
    window_start,
)


class Echo:
    """A network whose winning class is the code modulo 4; it notes the batches it gets."""

    def __init__(self):
        self.batches = []

    def __call__(self, codes):
        self.batches.append(len(codes))
        return torch.nn.functional.one_hot(codes.long() % 4, 4).movedim(-1, 1).float()


def model(network, size=(8, 8, 8), mapping=None):
    config = SimpleNamespace(cutout_size=size, mapping=mapping or {41: 1, 42: 2, 49: 9, 50: 9})
    device = torch.device("cpu")
    return SimpleNamespace(logits=network, config=config, device=device, compute=torch.float32)


def test_encoding_keeps_mapped_labels_only():
    semantic = np.array([[[0, 41, 42, 49, 50, 100, 60, 26]]], np.uint16)
    assert encode(semantic, {41: 1, 42: 2, 49: 9, 50: 9}).ravel().tolist() == [
        0, 1, 2, 9, 9, 0, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("start", [(-3, 0, 2), (5, 6, 7), (-20, 0, 0), (0, 0, 9)])
def test_windows_are_zero_outside(start):
    array = np.arange(1, 1001, dtype=np.uint16).reshape(10, 10, 10)
    padded = np.pad(array, 20)
    window = cut(array, np.array(start), (8, 8, 8))
    a, b, c = (s + 20 for s in start)
    np.testing.assert_array_equal(window, padded[a : a + 8, b : b + 8, c : c + 8])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite_are_no_answers(value):
    class Overflowed(Echo):
        def __call__(self, codes):
            answer = super().__call__(codes)
            answer[0, 2, 3, 3, 3] = value
            return answer

    with pytest.raises(ModelError, match="not finite"):
        classify(np.ones((2, 8, 8, 8), np.uint8), model(Overflowed()))


def test_a_centre_on_background_moves_down_to_foreground():
    encoded = np.zeros((10, 40, 10), np.uint8)
    encoded[:, 14:16] = 9
    assert window_start(encoded, np.array([5.9, 5.2, 5.0]), (8, 8, 8)).tolist() == [1, 11, 1]


def test_a_centre_that_finds_no_foreground_stays():
    encoded = np.zeros((10, 40, 10), np.uint8)
    assert window_start(encoded, np.array([5, 5, 5]), (8, 8, 8)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
def test_answers_do_not_depend_on_the_batch_size(batch_size):
    rng = np.random.default_rng(1)
    semantic = rng.choice([0, 41, 42, 49, 100], size=(20, 30, 9)).astype(np.uint8)
    centres = rng.uniform([0, 0, 0], semantic.shape, size=(7, 3))
    network = Echo()
    parts = predict_parts(semantic, centres, model(network), batch_size)
    alone = predict_parts(semantic, centres, model(Echo()), 1)
    assert max(network.batches) == batch_size
    assert sum(network.batches) == 7
    assert [(p.window, p.box, p.voxels) for p in parts] == [
        (p.window, p.box, p.voxels) for p in alone
    ]
    assert all((a.mask == b.mask).all() for a, b in zip(parts, alone, strict=True))


def test_parts_lie_where_the_network_saw_them():
    semantic = np.zeros((20, 30, 9), np.uint8)
    semantic[0:3, 2:5, 0:2] = 49
    semantic[4:6, 10:12, 3:5] = 42
    [parts_9, parts_2] = predict_parts(
        semantic, np.array([[1, 3, 1], [5, 11, 4]]), model(Echo()), 1
    )
    for part, label in ((parts_9, 49), (parts_2, 42)):
        full = np.zeros(semantic.shape, bool)
        full[part.box] = part.mask
        np.testing.assert_array_equal(full, semantic == label)
        assert part.voxels == full.sum()
