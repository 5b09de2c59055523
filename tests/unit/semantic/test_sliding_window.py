from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import PATCH, tiny_unet, write_semantic
from torch import nn

from columna.files import read_json
from columna.models.semantic_network import load_semantic_model
from columna.semantic.sliding_window import Window, predict_logits

CPU = torch.device("cpu")


def predict(networks, image, window, classes=4):
    answer = torch.full((classes, *image.shape[1:]), torch.nan)
    slabs = predict_logits(lambda: networks, image, window, classes, CPU, torch.float32)
    for place, logits in slabs:
        assert answer[(slice(None), *place)].isnan().all(), "a voxel in two slabs"
        answer[(slice(None), *place)] = logits
    return answer


class Folds:
    """The folds of a model, from the first one whenever they are asked for."""

    def __init__(self, model):
        self.model = model

    def __iter__(self):
        return self.model.networks()


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)


class Pointwise(nn.Module):
    """Answers every voxel by itself, so that tiles, mirrors and padding must not show."""

    def forward(self, x):
        return torch.cat([x, 2 * x - 1, x**2], dim=1)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    patch=st.tuples(*[st.integers(2, 9)] * 3),
    step=st.floats(0.3, 1),
    mirror=st.sets(st.integers(0, 2)),
    batch=st.integers(1, 3),
    folds=st.integers(1, 3),
)
def test_walking_over_the_image_does_not_show(shape, patch, step, mirror, batch, folds):
    image = noise(shape)
    window = Window(patch, step, tuple(mirror), batch)
    answer = predict([Pointwise()] * folds, image, window, classes=3)
    expected = Pointwise()(torch.from_numpy(image)[None])[0]
    # overlapping tiles are summed in float32: up to a few dozen roundings per voxel
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)


def test_one_tile_is_one_forward_pass():
    image, network = noise(PATCH), tiny_unet(0)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)[None])[0]
    torch.testing.assert_close(predict([network], image, Window(PATCH, 0.5)), expected)


def test_small_images_are_padded_with_zeros_on_both_sides():
    image, network = noise((5, 16, 13)), tiny_unet(0)
    padded = np.pad(image, [(0, 0), (1, 2), (0, 0), (1, 2)])
    with torch.inference_mode():
        expected = network(torch.from_numpy(padded)[None])[0, :, 1:6, :, 1:14]
    torch.testing.assert_close(predict([network], image, Window(PATCH, 0.5)), expected)


def test_folds_are_averaged():
    image, window = noise((10, 20, 24)), Window(PATCH, 0.5)
    networks = [tiny_unet(0), tiny_unet(1)]
    each = [predict([network], image, window) for network in networks]
    assert not torch.allclose(*each)
    torch.testing.assert_close(predict(networks, image, window), (each[0] + each[1]) / 2)


def test_mirrored_answers_are_averaged():
    """Averaging over all flips makes the answer follow a flip of the image."""
    image, network = noise(PATCH), tiny_unet(0)
    window = Window(PATCH, 0.5, (0, 2))
    answer = predict([network], image, window)
    for axes in [(1,), (3,), (1, 3)]:
        flipped = predict([network], np.flip(image, axes).copy(), window)
        torch.testing.assert_close(flipped.flip(axes), answer)
    plain = predict([network], image, Window(PATCH, 0.5))
    assert not torch.allclose(plain, answer)


def test_batches_do_not_change_answers():
    image, network = noise((14, 30, 30)), tiny_unet(0)
    one, three = (predict([network], image, Window(PATCH, 0.5, (), n)) for n in (1, 3))
    torch.testing.assert_close(one, three)


def test_large_logits_do_not_overflow():
    """Float16 sums with weights of 1000 (SPINEPS) overflow at 65.5."""
    image = np.full((1, 12, 12, 12), 1000, np.float32)
    answer = predict([Pointwise()], image, Window((6, 6, 6), 0.5), classes=3)
    torch.testing.assert_close(answer[2], torch.full((12, 12, 12), 1e6))


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
def test_tiles_cover_the_image_evenly(step):
    window = Window((4, 8, 8), step)
    shape = (9, 21, 8)
    covered = np.zeros(shape, int)
    for tile in window.tiles(shape):
        covered[tile] += 1
    assert covered.min() >= 1
    starts = sorted({tile[1].start for tile in window.tiles(shape)})
    assert (starts[0], starts[-1]) == (0, 13)
    assert max(np.diff(starts)) <= 8 * step + 1


def test_agrees_with_the_predictor_of_nnunet(tmp_path):
    """They sum float16: weights at the border of the image are too small for it."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    folder = write_semantic(tmp_path, folds=("0", "1"), available_folds=2)
    image = noise((12, 24, 24), seed=1)
    model = load_semantic_model(folder, "cpu", "float32")
    ours = predict(Folds(model), image, Window(PATCH, 0.5))
    theirs = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=CPU, allow_tqdm=False
    )
    plans = PlansManager(read_json(folder / "plans.json"))
    theirs.manual_initialization(
        model.network,
        plans,
        plans.get_configuration("3d_custom"),
        list(model.fold_weights),
        read_json(folder / "dataset.json"),
        "nnUNetTrainer",
        None,
    )
    theirs = theirs.predict_logits_from_preprocessed_data(torch.from_numpy(image)).float()
    inside = (slice(None), slice(3, -3), slice(5, -5), slice(5, -5))
    ours, theirs = ours[inside], theirs[inside]
    assert (ours - theirs).abs().max() < 0.02
    assert (ours.argmax(0) == theirs.argmax(0)).float().mean() > 0.98
    assert len(set(ours.argmax(0).flatten().tolist())) > 1


def test_memory_holds_one_row_of_tiles():
    """The sums span a tile along the axis that is longest in tiles, whatever its length."""
    answers = []
    for length in (40, 80):
        image = noise((9, length, 12))
        slabs = predict_logits(
            lambda: [Pointwise()], image, Window((8, 8, 8), 0.5), 3, CPU, torch.float32
        )
        sizes = {tuple(logits.shape[1:]) for _, logits in slabs}
        assert max(size[1] for size in sizes) == 8
        answers.append({size for size in sizes if size[1] < 8})
    assert answers[0] == answers[1] == {(9, 4, 12)}


def test_all_flips_are_made():
    from columna.semantic.sliding_window import _flips

    assert {tuple(f) for f in _flips((0, 1, 2))} == {
        tuple(i + 2 for i in range(3) if chosen[i]) for chosen in product([0, 1], repeat=3)
    } - {()}
