"""Training: samples are what the networks will meet, and exported folders load everywhere."""

import itertools
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from columna.anatomy import Semantic
from columna.cli import app
from columna.evaluate.overlap import dice
from columna.models.instance_network import load_instance_model
from columna.models.semantic_network import load_semantic_model
from columna.phantom import PhantomSettings, make_phantom, random_settings
from columna.phantom.generate import make_scene
from columna.train import sources
from columna.train.networks import instance_training, model_folders, semantic_training
from columna.train.networks.losses import deep_loss, dice_and_entropy
from columna.train.samples.degrade import degraded
from columna.train.samples.label_sets import label_sets
from columna.train.samples.map_subjects import map_masks
from columna.train.samples.stream import Stream
from columna.train.sources import synthetic


def samples(task, label_map, n, seed):
    """The first `n` samples of a training that has one map."""
    stream = Stream(synthetic(task, lambda rng: label_map), task.per_draw, seed, 1, mixed=2)
    batches = itertools.islice(stream.batches(0), n)
    return [(inputs[0], target[0]) for inputs, target in batches]


def test_semantic_patches_are_normalised_and_hold_all_classes(lumbar_map):
    patches = samples(semantic_training.make_task(label_sets({})), lumbar_map, 18, 3)
    image, target = patches[0]
    assert image.shape == (1, *semantic_training.PATCH[::-1])
    assert target.shape == semantic_training.PATCH[::-1]
    seen = set().union(*(np.unique(t).tolist() for _, t in patches))
    assert len(seen) > 11
    assert all(abs(float(i.mean())) < 2 for i, _ in patches)


def test_instance_windows_show_the_centre_vertebra_as_class_2(lumbar_map):
    central = []
    for codes, target in samples(instance_training.TASK, lumbar_map, 8, 2):
        onehot = instance_training.encode(codes[None])[0]
        assert onehot.shape == (10, *instance_training.CUTOUT)
        assert torch.equal(onehot.sum(0), torch.ones(instance_training.CUTOUT))
        central.append(float((target[36:44, 42:54, 12:20] == 2).float().mean()))
        rows = {c: torch.argwhere(target == c)[:, 1].float().mean() for c in (1, 2, 3)}
        for upper, lower in ((1, 2), (2, 3)):
            if (target == upper).any() and (target == lower).any():
                assert rows[upper] < rows[lower]
    assert min(central) > 0
    assert np.mean(central) > 0.4


def test_neighbours_follow_anatomical_order():
    mask = np.array([[[19, 28, 20, 0, 26]]])
    assert instance_training.neighbours(mask, 28, [19, 28, 20]).tolist() == [[[1, 2, 3, 0, 0]]]
    assert instance_training.neighbours(mask, 20, [19, 28, 20]).tolist() == [[[0, 1, 2, 0, 0]]]


def test_degraded_masks_resemble_the_truth_and_leave_it_alone():
    scene = make_scene(PhantomSettings(region="lumbar", spacing_mm=(2, 2, 3.3)))
    before = scene.semantic.copy()
    bodies = np.where(scene.semantic == Semantic.VERTEBRAL_BODY, scene.instance, 0)
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(10):
        worse = degraded(scene.semantic, bodies, rng)
        scores.append(dice(worse == Semantic.VERTEBRAL_BODY, bodies > 0))
    assert np.array_equal(scene.semantic, before)
    assert 0.7 < np.mean(scores) < 0.99


def test_masks_of_a_map_end_where_the_map_ends(lumbar_map):
    for seed in range(8):
        masks = map_masks(lumbar_map, (1.75, 1.75, 3.3), np.random.default_rng(seed))
        bodies = masks.semantic == Semantic.VERTEBRAL_BODY
        assert bodies.any()
        assert (masks.instance[bodies] > 0).all()
        # a border that went on would show in whole rows of one label
        for axis in range(3):
            ends = masks.semantic.any(axis=tuple({0, 1, 2} - {axis}))
            assert ends.sum() * (1.75, 1.75, 3.3)[axis] < 1.4 * (220, 260, 80)[axis]


def test_masks_of_a_map_follow_the_generator(lumbar_map):
    first, again, other = (
        map_masks(lumbar_map, (1.75, 1.75, 3.3), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.semantic, again.semantic)
    assert np.array_equal(first.instance, again.instance)
    assert not np.array_equal(first.semantic, other.semantic)


def test_maps_without_a_pool_are_those_of_new_patients(monkeypatch):
    seeds = []
    monkeypatch.setattr(sources, "phantom_map", seeds.append)
    for n in range(50):
        sources.fresh(np.random.default_rng(n))
    assert len(set(seeds)) == 50
    assert min(seeds) > 100_000
    assert max(seeds) < 2**31


def test_loss_is_small_for_the_right_answer_and_large_for_a_wrong_one():
    target = torch.zeros(1, 4, 8, 8, dtype=torch.long)
    target[:, :, 2:5] = 1
    right = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 20
    allowed = torch.eye(3, dtype=torch.bool)
    assert dice_and_entropy(right, target, allowed) < 0.01
    assert dice_and_entropy(right.flip(1), target, allowed) > 1
    assert deep_loss([right, right[..., ::2, ::2, ::2]], target, allowed) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_a_training_of_seconds_writes_a_model_that_loads(kind, tmp_path):
    phase = {"steps": 1, "batch_size": 1, "mixed": 1, "validation_scenes": 1}
    recipe = json.dumps({"workers": 0, "maps": 0, "device": "cpu", kind: phase})
    arguments = ["train", "network", kind, "--out", str(tmp_path), "--minutes", "3"]
    threads = torch.get_num_threads()
    try:
        for _ in range(2):  # the second resumes a finished training: no further step
            done = CliRunner().invoke(app, [*arguments, "--settings", recipe])
            assert done.exit_code == 0, done.output
    finally:
        torch.set_num_threads(threads)
    load = {"semantic": load_semantic_model, "instance": load_instance_model}[kind]
    model = load(tmp_path / "model", device="cpu", compute="float32")
    assert model.grid.target_spacing_mm((1, 1, 1)) == pytest.approx(
        {"semantic": semantic_training, "instance": instance_training}[kind].SPACING_MM
    )
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 1


def test_nnunet_itself_loads_an_exported_folder(tmp_path):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    network = semantic_training.build_network()
    model_folders.export_semantic(network, tmp_path)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(tmp_path), (0,))
    for key, tensor in predictor.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key].half().float())


def test_equal_weights_give_equal_files_without_repeated_tensors(tmp_path):
    network = semantic_training.build_network()
    files = []
    for name in ("first", "second"):
        model_folders.export_semantic(network, tmp_path / name)
        files.append((tmp_path / name / "fold_0" / "checkpoint_final.pth").read_bytes())
    assert files[0] == files[1]
    assert len(files[0]) < 2.2 * sum(p.numel() for p in network.parameters())


def test_held_out_phantoms_are_out_of_the_reach_of_training():
    """Training draws seeds below 2^31; a held-out seed gives another spine."""
    seed = 3_000_000_000
    assert seed >= 2**31
    one = make_phantom(random_settings(seed, region="lumbar", spacing_mm=(3, 3, 5)))
    assert (one.semantic.array == Semantic.DISC).any()
