import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import CLASSIC_PLAN, write_semantic
from torch import nn

from columna.config import SemanticSettings
from columna.errors import ModelError, ScanRefused
from columna.images.volume import Volume
from columna.models.semantic_network import load_semantic_model
from columna.semantic import segment_semantic
from columna.semantic.confidence import certainty_maps, summarise_confidence
from columna.semantic.decision import decide
from columna.semantic.network_input import make_network_input
from columna.semantic.phase_1 import choose_window

SPACING = np.array([0.75, 0.75, 1.65])
TO_PIR = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
PLAIN = SemanticSettings()


@pytest.fixture
def model(tmp_path):
    return load_semantic_model(write_semantic(tmp_path / "model"), "cpu", "float32")


def image(array, spacing=SPACING):
    return Volume(np.asarray(array, np.float32), TO_PIR @ np.diag([*spacing, 1.0]))


def noisy(shape=(20, 24, 10), seed=0):
    return np.random.default_rng(seed).uniform(1, 1000, shape).astype(np.float32)


class Thresholds(nn.Module):
    """Calls voxels far above the mean body, a little above it disc, far below it sacrum."""

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), 8 * (x - 1), 4 * x, 8 * (-x - 1)], dim=1)


def blocks():
    """A body above a disc on a dark background, along P, I, R."""
    array = np.full((30, 30, 12), 100.0)
    array[8:20, 4:12, 2:10] = 900
    array[8:20, 12:16, 2:10] = 450
    return array


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_answers_come_back_to_the_voxels_they_belong_to(tmp_path, transpose):
    """Whatever axes the plan wants, each voxel's label is that of its own intensity."""
    spacing = [SPACING[::-1][axis] for axis in transpose]
    plan = CLASSIC_PLAN | {"spacing": spacing, "patch_size": [8, 12, 16]}
    folder = write_semantic(tmp_path, plan=plan, transpose=transpose)
    loaded = load_semantic_model(folder, "cpu", "float32")
    model = replace(loaded, network=Thresholds(), fold_weights=({},))
    array = blocks()
    array[:3] = 0  # cropped away before the network
    result = segment_semantic(image(array), model, PLAIN)
    assert (result.mask.array[8:20, 4:12, 2:10] == 49).all()
    assert (result.mask.array[8:20, 12:16, 2:10] == 100).all()
    assert (result.mask.array == 49).sum() == 12 * 8 * 8
    assert result.mask.array.dtype == np.uint8
    assert result.mask.orientation == ("P", "I", "R")
    np.testing.assert_allclose(result.mask.affine, image(array).affine)


def test_storage_order_does_not_matter(model):
    model = replace(model, network=Thresholds(), fold_weights=({},))
    straight = segment_semantic(image(blocks()), model, PLAIN)
    turned = segment_semantic(image(blocks()).reoriented(("L", "A", "S")), model, PLAIN)
    assert np.array_equal(straight.mask.array, turned.mask.array)
    assert straight.confidence == turned.confidence


def test_network_input_is_normalised_inside_the_crop(model):
    given = make_network_input(image(np.pad(noisy(), 3)), model)
    assert given.array.shape == (1, 10, 24, 20)
    assert given.array.mean() == pytest.approx(0, abs=1e-5)
    assert given.array.std() == pytest.approx(1, abs=1e-4)


def test_zeros_around_the_image_do_not_matter(model):
    plain = make_network_input(image(noisy()), model)
    wide = make_network_input(image(np.pad(noisy(), [(2, 7), (0, 3), (5, 1)])), model)
    assert np.array_equal(plain.array, wide.array)
    answer = np.arange(plain.array.size, dtype=np.int32).reshape(plain.array.shape[1:])
    assert np.array_equal(
        np.pad(plain.to_image_axes(answer), [(2, 7), (0, 3), (5, 1)]), wide.to_image_axes(answer)
    )


def test_ripples_of_interpolation_are_empty(model):
    array = np.pad(noisy(), 4)
    rippled = array + np.where(array == 0, 0.1, 0)
    assert make_network_input(image(rippled), model).array.shape == (1, 10, 24, 20)


def test_gain_does_not_matter(model):
    one, two = (make_network_input(image(noisy() * gain), model).array for gain in (1, 0.001))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_the_prepared_image_is_not_changed(model):
    given = image(noisy())
    before = given.array.copy()
    make_network_input(given, model)
    assert np.array_equal(given.array, before)


def test_another_grid_is_an_error(model):
    with pytest.raises(ModelError, match=r"0\.8"):
        segment_semantic(image(noisy(), (0.75, 0.8, 1.65)), model, PLAIN)
    make_network_input(image(noisy(), SPACING + 5e-4), model)


def test_empty_image_is_refused(model):
    with pytest.raises(ScanRefused):
        segment_semantic(image(np.zeros((9, 9, 9))), model, PLAIN)


class Background(nn.Module):
    """Finds nothing."""

    def forward(self, x):
        return torch.cat([x * 0 + 1, x * 0, x * 0, x * 0], dim=1)


def test_nothing_found_is_refused(model):
    with pytest.raises(ScanRefused) as refusal:
        segment_semantic(
            image(noisy()), replace(model, network=Background(), fold_weights=({},)), PLAIN
        )
    assert refusal.value.code == "no_spine"


def test_settings_win_over_the_model_folder(model):
    assert choose_window(model, PLAIN).step_size == 0.5
    assert choose_window(model, PLAIN).mirror_axes == ()
    changed = choose_window(model, SemanticSettings(step_size=0.8, mirroring=True))
    assert changed.step_size == 0.8
    assert changed.mirror_axes == (0, 1, 2)
    unmirrored = replace(model, mirror_axes=())
    assert choose_window(unmirrored, SemanticSettings(mirroring=True)).mirror_axes == ()


def test_decision_of_known_probabilities():
    surely = [0.98, 0.01, 0.01]
    probabilities = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], surely])
    logits = probabilities.T.log()[:, :, None, None] + 5.0
    classes, sure, entropy = decide(logits)
    assert classes.ravel().tolist() == [1, 0, 2, 0]
    # in doubtful background, that there is something after all
    np.testing.assert_allclose(sure.ravel(), [0.7, 0.5, 0.6, 0], atol=1e-3)
    expected = -sum(p * math.log(p) for p in (0.1, 0.7, 0.2)) / math.log(3)
    assert float(entropy[0, 0, 0]) == pytest.approx(expected, abs=1e-3)
    assert entropy[1, 0, 0] == 0


def test_slabs_do_not_show(monkeypatch):
    from columna.semantic import decision

    logits = torch.randn(4, 7, 5, 6, generator=torch.Generator().manual_seed(0))
    whole = decide(logits)
    monkeypatch.setattr(decision, "_SLAB_VOXELS", 60)
    for a, b in zip(whole, decide(logits), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(whole[0], logits.argmax(0).numpy())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_answers_that_are_not_finite_are_an_error(bad):
    logits = torch.zeros(3, 2, 2, 2)
    logits[1, 0, 0, 0] = bad
    with pytest.raises(ModelError, match="float32"):
        decide(logits)


def test_maps_tell_structures_and_doubtful_background_and_nothing_of_what_was_changed():
    mask = np.array([[[49, 49, 0, 0, 0]]], np.uint8)
    network = np.array([[[49, 0, 0, 0, 49]]], np.uint8)  # filled, and deleted
    probability = np.array([[[0.9, 0.3, 0.4, 0, 0.8]]], np.float16)
    entropy = np.array([[[0.25, 0, 0, 0, 0.5]]], np.float16)
    maps = certainty_maps(mask, network, probability, entropy)
    assert maps["probability"].tolist() == [[[90, 0, 40, 0, 0]]]
    assert maps["entropy"].tolist() == [[[25, 0, 0, 0, 0]]]
    assert maps["probability"].dtype == maps["entropy"].dtype == np.uint8


def test_confidence_counts_what_the_network_chose_and_cleaning_kept():
    mask = np.array([[[49, 49, 49, 100, 0]]], np.uint8)
    network = np.array([[[49, 49, 0, 100, 49]]], np.uint8)  # filled, and deleted
    sure = np.array([[[0.5, 0.9, 0.0, 0.6, 0.1]]], np.float16)
    summary = summarise_confidence(mask, network, sure, 1 - sure)
    assert set(summary) == {49, 100}
    assert summary[49]["confidence_mean_ratio"] == pytest.approx(0.7, abs=1e-3)
    assert summary[49]["confidence_p05_ratio"] == pytest.approx(0.52, abs=1e-3)
    assert summary[49]["entropy_mean_ratio"] == pytest.approx(0.3, abs=1e-3)
