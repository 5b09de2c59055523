"""The training workflow: repeatable and resumable, own data, nnU-Net's own training, measures."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import toy_training

from columna.anatomy import Semantic
from columna.config import PrepareSettings
from columna.errors import CohortError, ColumnaError, ConfigError, ModelError
from columna.evaluate.found_once import islands, match_vertebrae
from columna.images.volume import Volume, load_image, load_volume, save_volume
from columna.models.folder import ModelFolder
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.phantom import make_phantom, random_settings, write_phantom
from columna.phantom.generate import make_scene
from columna.train.labels import CLASS_OF, LABELS
from columna.train.networks import instance_training, semantic_training
from columna.train.networks.loop import Monitor, Training, TrainSettings
from columna.train.networks.losses import sample_dice_and_entropy
from columna.train.networks.start import starting_weights
from columna.train.recipe import DatasetSettings, TrainConfig, parse_train_config
from columna.train.samples import dataset
from columna.train.samples.bend import bent_masks
from columna.train.samples.label_sets import label_sets
from columna.train.samples.maps import make_map, save_map
from columna.train.samples.real_scans import Scans
from columna.train.samples.stream import Mixture, Stream
from columna.train.sources import Inputs, pooled, synthetic, training_source
from columna.train.train_one import make_task, train_phase

NO_N4 = PrepareSettings(n4=False)
SEMANTIC = semantic_training.make_task(label_sets({}))


def equal_weights(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


# --- samples ---


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_follow_from_seed_and_position_alone(workers):
    whole = Stream(toy_training.source, 2, seed=5, batch_size=3, mixed=2)
    expected = list(itertools.islice(whole.batches(0), 9))
    late = Stream(toy_training.source, 2, seed=5, batch_size=3, mixed=2, workers=workers)
    for (inputs, target), (wanted, truth) in zip(late.batches(4), expected[4:], strict=False):
        assert torch.equal(inputs, wanted)
        assert torch.equal(target, truth)
        if torch.equal(inputs, expected[-1][0]):
            break
    other = Stream(toy_training.source, 2, seed=6, batch_size=3, mixed=2)
    assert not torch.equal(next(other.batches(0))[0], expected[0][0])


def test_every_sample_of_a_draw_is_seen_once():
    stream = Stream(lambda rng: (np.arange(6.0), np.arange(6)), 6, seed=0, batch_size=4, mixed=2)
    seen = torch.cat([x for x, _ in itertools.islice(stream.batches(0), 3)])
    assert sorted(seen.tolist()) == sorted(list(range(6)) * 2)


def test_a_mixture_keeps_its_shares():
    def constant(value):
        return lambda rng: (np.array([value]), np.array([value]))

    mixture = Mixture({"a": constant(1.0), "b": constant(0.0)}, {"a": 3.0, "b": 1.0})
    rng = np.random.default_rng(0)
    assert np.mean([mixture(rng)[0][0] for _ in range(400)]) == pytest.approx(0.75, abs=0.06)


# --- the loop ---


def test_the_toy_learns_and_the_same_seed_gives_the_same_weights(tmp_path):
    torch.set_num_threads(1)
    points = []
    one = toy_training.run(tmp_path / "a.pt", 60, tell=points.extend, monitors=[
        Monitor(30, lambda step, network: [("validation", "step", step)])
    ])  # fmt: skip
    two = toy_training.run(tmp_path / "b.pt", 60, workers=1)
    assert equal_weights(one, two)
    assert not equal_weights(one, toy_training.run(tmp_path / "c.pt", 60, seed=1))
    losses = [p["value"] for p in points if p["measure"] == "loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert {p["value"] for p in points if p["split"] == "validation"} == {30, 60}


def test_a_killed_training_ends_as_if_it_had_never_been_killed(tmp_path):
    """Killed without warning, twice, at moments that nobody chose."""
    torch.set_num_threads(1)
    steps, state = 400, tmp_path / "killed.pt"
    command = [sys.executable, toy_training.__file__, str(state), str(steps), "0.01"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    reached = [0]
    for _ in range(2):
        process = subprocess.Popen(command, env=environment)
        while not state.exists() or torch.load(state)["step"] < reached[-1] + 20:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached.append(torch.load(state)["step"])
    assert 0 < reached[1] < reached[2] < steps
    continued = toy_training.run(state, steps)
    unbroken = toy_training.run(tmp_path / "unbroken.pt", steps, save_seconds=1e9)
    assert equal_weights(continued, unbroken)


def test_a_finished_training_is_left_alone_and_can_be_prolonged(tmp_path):
    state = tmp_path / "state.pt"
    toy_training.run(state, 4)
    before = state.read_bytes()
    toy_training.run(state, 4)
    assert state.read_bytes() == before
    toy_training.run(state, 6)
    assert torch.load(state)["step"] == 6


def test_a_state_of_another_recipe_or_network_is_refused(tmp_path):
    state = tmp_path / "state.pt"
    toy_training.run(state, 2, recipe="a")
    with pytest.raises(ColumnaError, match="another recipe"):
        toy_training.run(state, 4, recipe="b")
    content = torch.load(state)
    content["network"] = {}
    torch.save(content, state)
    with pytest.raises(ColumnaError, match="does not fit"):
        toy_training.run(state, 4, recipe="a")


def test_states_of_before_recipes_were_named_are_continued(tmp_path):
    state = tmp_path / "state.pt"
    toy_training.run(state, 2)
    content = torch.load(state)
    torch.save({k: v for k, v in content.items() if k not in ("recipe", "history")}, state)
    toy_training.run(state, 4, recipe="a")
    assert torch.load(state)["step"] == 4


# --- both networks ---


def quick(**more):
    phase = {"steps": 10, "mixed": 1, "validation_scenes": 1, "batch_size": 1}
    return parse_train_config(
        {"maps": 0, "workers": 0, "compute": "float32"}
        | {"semantic": phase, "instance": phase}
        | more,
        "test",
    )


@pytest.fixture
def small_patches(monkeypatch):
    """Patches and windows of a size that a test can afford; everything else is as it is."""
    monkeypatch.setattr(semantic_training, "PATCH", (48, 48, 16))
    monkeypatch.setattr(instance_training, "CUTOUT", (32, 40, 16))


@pytest.mark.slow
@pytest.mark.usefixtures("small_patches")
@pytest.mark.parametrize("phase", ["semantic", "instance"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_ten_steps_give_a_model_and_curves(phase, device, tmp_path):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = train_phase(phase, quick(device=device), tmp_path, Inputs())
    network = load_any(phase, model)
    fresh = make_task(phase, TrainConfig()).build_network()
    assert not equal_weights(network, fresh.half().float())
    assert all(torch.isfinite(p).all() for p in network.parameters())
    curves = pq.read_table(tmp_path / "curves.parquet").to_pandas()
    assert "mean" in set(curves.loc[curves["split"] == "validation", "measure"])
    assert (tmp_path / "curves.png").stat().st_size > 5000
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 10


def test_training_needs_no_nnunet(tmp_path):
    """A machine that only trains has torch and nnU-Net's library of networks."""
    program = """
import sys
sys.modules["nnunetv2"] = None
from columna.train import train_one as run
from columna.train.networks import semantic_training as semantic
from columna.train.recipe import TrainConfig
network = semantic.build_network()
run.EXPORTS["semantic"](network, run.Path(sys.argv[1]))
config = TrainConfig.model_validate({"looks": {"sheet": "sheet.tsv"}})
assert run._looks(run.make_task("semantic", config), config, run.Path(sys.argv[1])) == []
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nnunetv2 is not installed" in done.stderr
    assert (tmp_path / "fold_0" / "checkpoint_final.pth").exists()


def test_the_loss_of_phase_2_counts_every_class_of_every_sample():
    target = torch.zeros(2, 4, 4, 4, dtype=torch.long)
    target[0, :2], target[1, 2:] = 1, 2
    right = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 30
    assert sample_dice_and_entropy(right, target) < 0.01
    wrong = right.clone()
    wrong[1] = torch.tensor([30.0, 0, 0]).view(3, 1, 1, 1)  # the second sample misses its class
    lost = sample_dice_and_entropy(wrong, target)
    entropy = torch.nn.functional.cross_entropy(wrong, target)
    assert float(lost - entropy) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("phase", ["semantic", "instance"])
def test_a_training_starts_from_the_weights_of_a_model(phase, tmp_path):
    model = find_model(f"bundled_{phase}")
    weights = starting_weights(phase, str(model))
    task = make_task(phase, TrainConfig())
    settings = TrainSettings(tmp_path / "state.pt", steps=1, start=weights)
    begun = Training(task, settings, torch.device("cpu")).network
    assert begun.state_dict().keys() == weights.keys()
    assert all(torch.equal(begun.state_dict()[name], weights[name]) for name in weights)
    with pytest.raises(ColumnaError, match="do not fit"):
        Training(toy_training.TASK, settings, torch.device("cpu"))
    other = {"semantic": "instance", "instance": "semantic"}[phase]
    with pytest.raises(ModelError, match="cannot start"):
        starting_weights(other, str(model))


# --- the recipe ---


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"sead": 1}, "sead"),
        ({"synthetic": 0}, "nothing to train on"),
        ({"semantic": {"engine": "nnunet"}}, "datasets"),
        ({"fold": 5}, "folds count"),
        ({"instance": {"steps": 0}}, "instance.steps"),
    ],
)
def test_wrong_recipes_are_refused_by_name(content, named):
    with pytest.raises(ConfigError, match=named):
        parse_train_config(content, "test")


@pytest.mark.parametrize("name", ["x; touch ran", "$(x)", "../up", "a b", "-c", "", "x\n"])
@pytest.mark.parametrize("key", ["configuration", "trainer", "planner", "plans"])
def test_names_in_recipes_cannot_leave_commands_and_folders(key, name):
    with pytest.raises(ConfigError, match=f"nnunet.{key}"):
        parse_train_config({"nnunet": {key: name}}, "test")
    with pytest.raises(ConfigError, match="datasets"):
        parse_train_config({"datasets": {name: {"sheet": "x.tsv"}}}, "test")


# --- scans of one's own ---


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Four small scans of two people, one stored in another orientation, and a broken one."""
    folder = tmp_path_factory.mktemp("own")
    rows = ["participant_id\tpath\tsemantic\tinstance"]
    for n in range(4):
        settings = random_settings(
            n, region="lumbar", spacing_mm=(2.5, 2.5, 5.0), fov_mm=(120, 130, 60),
            obliquity_deg=0.0, fov_shift_mm=(0, 0, 0),
            orientation=("L", "S", "A") if n == 1 else ("P", "I", "R"),
        )  # fmt: skip
        name = f"sub-{n}"
        write_phantom(make_phantom(settings), folder, name)
        masks = "\t".join(f"{name}_seg-{kind}_dseg.nii.gz" for kind in ("spine", "vert"))
        rows.append(f"p{n // 2}\t{name}_T2w.nii.gz\t{masks}")
    (folder / "one.tsv").write_text("\n".join(rows[:2]) + "\n")
    (folder / "few.tsv").write_text("\n".join([rows[0], rows[1], rows[4]]) + "\n")
    (folder / "broken_T2w.nii.gz").write_bytes(b"")
    rows.append("p2\tbroken_T2w.nii.gz\tsub-0_seg-spine_dseg.nii.gz\tsub-0_seg-vert_dseg.nii.gz")
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def converted(own, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "Dataset100_columna"
    dataset.convert({"mine": DatasetSettings(sheet=own / "sheet.tsv")}, folder, 2, NO_N4)
    return folder


def test_converted_masks_are_those_of_the_sheet(own, converted):
    cases = dataset.read_cases(converted)
    assert len(cases) == 4
    for n, case in enumerate(cases):
        image = load_image(dataset.image_path(converted, case.case))
        labels = load_volume(dataset.label_path(converted, case.case))
        true = load_volume(own / f"sub-{n}_seg-spine_dseg.nii.gz").reoriented()
        assert labels.orientation == ("P", "I", "R")
        assert labels.shape == image.shape == true.shape
        np.testing.assert_allclose(labels.affine, true.affine, atol=1e-4)
        known = np.array([0, *LABELS])[labels.array]
        assert np.array_equal(known, true.array)
        instances = load_volume(dataset.instance_path(converted, case.case)).array
        assert np.array_equal(
            instances, load_volume(own / f"sub-{n}_seg-vert_dseg.nii.gz").reoriented().array
        )
    described = json.loads((converted / "dataset.json").read_text())
    assert described["numTraining"] == 4
    assert described["labels"]["l49"] == LABELS.index(Semantic.VERTEBRAL_BODY) + 1


def test_scans_that_cannot_be_used_say_why(converted):
    rows = (converted / "cases.tsv").read_text().splitlines()
    assert len(rows) == 6
    [broken] = [row for row in rows if "broken" in row]
    assert broken.split("\t")[5] == "unreadable"


def test_all_scans_of_a_person_lie_in_one_fold(converted):
    cases = dataset.read_cases(converted)
    people = {c.case: c.participant_id for c in cases}
    for split in dataset.splits(cases, 2):
        assert split["train"]
        assert split["val"]
        assert not {people[c] for c in split["train"]} & {people[c] for c in split["val"]}


def test_a_sheet_without_masks_is_refused(tmp_path, own):
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(f"participant_id\tpath\np\t{own}/sub-0_T2w.nii.gz\n")
    with pytest.raises(CohortError, match="semantic, instance"):
        dataset.convert({"mine": DatasetSettings(sheet=sheet)}, tmp_path / "raw", 2, NO_N4)


def test_bent_masks_stay_together(converted):
    scan = Scans(converted, dataset.read_cases(converted)[:1]).draw(np.random.default_rng(0))
    rng = np.random.default_rng(0)
    for _ in range(4):
        masks = bent_masks(scan, (2.5, 2.5, 5.0), rng)
        bodies = masks.semantic == Semantic.VERTEBRAL_BODY
        assert bodies.sum() > 500
        assert (masks.instance[bodies] > 0).mean() > 0.99


def test_the_held_out_fold_is_never_drawn(converted, monkeypatch):
    drawn = set()
    original = Scans.__init__

    def spy(self, folder, cases):
        drawn.update(case.fold for case in cases)
        original(self, folder, cases)

    monkeypatch.setattr(Scans, "__init__", spy)
    config = quick(
        synthetic=0, folds=2, fold=1, datasets={"mine": {"sheet": "sheet.tsv", "share": 1}}
    )
    samples = training_source(SEMANTIC, config, Inputs(converted))
    inputs, targets = samples(np.random.default_rng(0))
    assert drawn == {0}
    assert inputs.shape == (SEMANTIC.per_draw, 1, *semantic_training.PATCH[::-1])
    assert (targets == CLASS_OF[Semantic.VERTEBRAL_BODY]).any()


def test_pooled_patches_show_the_labels_of_their_map(tmp_path):
    scene = make_scene(random_settings(1, region="lumbar", spacing_mm=(2, 2, 3)))
    label_map = make_map(scene.tissues, scene.semantic, scene.instance, (2, 2, 3), seed=1)
    save_map(label_map, tmp_path / "phantom-00001")
    source = synthetic(SEMANTIC, pooled(tmp_path))
    images, targets = source(np.random.default_rng(0))
    again = source(np.random.default_rng(0))
    assert images.shape == (SEMANTIC.per_draw, 1, *semantic_training.PATCH[::-1])
    assert images.shape[0] == len(targets)
    assert np.array_equal(images, again[0])
    assert targets.max() <= len(LABELS)
    bodies = LABELS.index(Semantic.VERTEBRAL_BODY) + 1
    assert (targets == bodies).any()


# --- nnU-Net's own training ---

TINY_TRAINER = """
import torch
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation import nnUNetTrainerNoMirroring as m


class nnUNetTrainerTiny(m.nnUNetTrainerNoMirroring):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 1, 2, 1

    def perform_actual_validation(self, save_probabilities=False):
        pass
"""


@pytest.mark.slow
def test_nnunet_plans_preprocesses_and_trains_through_the_workflow(own, workspace, monkeypatch):
    """The rules as they are; only the trainer has two iterations."""
    (workspace.folder / "trainers").mkdir()
    (workspace.folder / "trainers" / "tiny.py").write_text(TINY_TRAINER)
    monkeypatch.setenv("nnUNet_extTrainer", str(workspace.folder / "trainers"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    workspace.configure(cohort="cohort.tsv")
    recipe = {
        "datasets": {"mine": {"sheet": str(own / "few.tsv")}},
        "synthetic": 0,
        "folds": 2,
        "prepare": {"n4": False},
        "semantic": {"engine": "nnunet"},
        "nnunet": {"device": "cpu", "trainer": "nnUNetTrainerTiny"},
    }
    (workspace.folder / "config" / "train.yaml").write_text(json.dumps(recipe))
    model = Path("results/train/nnunet/model")
    workspace.snakemake("--set-threads", "train_nnunet_plan=1", "train_nnunet_fold=1",
                        "--", str(model / "inference_config.json"))  # fmt: skip
    folder = ModelFolder.read(workspace.folder / model)
    assert folder.grid.plan_spacing_mm == pytest.approx((2.5, 2.5, 5.0))
    loaded = load_semantic_model(folder, device="cpu", compute="float32")
    assert loaded.mirror_axes == ()
    assert list(loaded.class_labels) == [0, *LABELS]


# --- looks ---


def load_any(phase, folder):
    load = {"semantic": load_semantic_model, "instance": load_instance_model}[phase]
    return load(folder, device="cpu", compute="float32").network


@pytest.mark.slow
def test_looks_write_pictures_and_dice_of_real_files(own, tmp_path, monkeypatch):
    """With the bundled weights in place of those of a training, which know nothing yet."""
    from columna.train import looks

    def copied(phase):
        return lambda network, folder, classes: shutil.copytree(
            find_model(f"bundled_{phase}"), folder
        )

    monkeypatch.setattr(looks, "EXPORTS", {p: copied(p) for p in ("semantic", "instance")})
    config = quick(looks={"sheet": str(own / "one.tsv")}, prepare={"n4": False}, device="cpu")
    for phase, shown in (("semantic", "vertebral_body"), ("instance", "vertebrae")):
        points = looks.Looks(phase, config, tmp_path / phase).take(7, None)
        values = {measure: value for _, measure, value in points}
        assert values[f"sub-0_T2w, {shown}"] > 0.4
        assert (tmp_path / phase / "sub-0_T2w" / "0000007.png").exists()


# --- measures ---


def test_found_once_means_one_instance_of_its_own():
    true = np.zeros((4, 40, 4), np.uint8)
    for n in range(4):
        true[:, 10 * n : 10 * n + 8] = 20 + n
    found = np.zeros_like(true)
    found[:, 0:8] = 1  # one to one
    found[:, 10:16], found[:, 16:18] = 2, 3  # split
    found[:, 20:38] = 4  # two in one: of neither more than the half
    once = [m.label for m in match_vertebrae(found, true, [20, 21, 22, 23]) if m.once]
    assert once == [20]
    scores = {m.label: m.dice for m in match_vertebrae(found, true, [20, 21])}
    assert scores[20] == 1
    assert scores[21] == pytest.approx(2 * 6 / (6 + 8))


def test_islands_are_components_away_from_the_spine():
    true = np.zeros((30, 30, 10), bool)
    true[10:15, 5:25, 3:7] = True
    found = true.copy()
    found[15:18] |= true[12:15]  # thicker, but attached
    found[27:29, 2:4, 2:4] = True
    number, volume = islands(found, true, np.array([1.0, 1.0, 2.0]), 2.0)
    assert (number, volume) == (1, 16.0)


def test_a_picture_shows_image_and_masks(tmp_path):
    from columna.evaluate.pictures import save_picture

    image = Volume(np.random.default_rng(0).random((20, 30, 5)), np.eye(4))
    mask = np.zeros(image.shape, np.uint8)
    mask[5:10, 5:10] = 49
    save_picture(image, {"semantic": mask, "instance": mask // 2}, "a title", tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    save_volume(image.with_array(mask), tmp_path / "m.nii.gz")
    assert TrainConfig().seed == 0
