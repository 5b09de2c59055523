"""The baseline of one phase: its classes, its training, its instances, and where it is refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from columna.cli.main import app
from columna.config import Config, PrepareSettings
from columna.errors import ConfigError, ModelError
from columna.evaluate import one_phase
from columna.evaluate.conventions import find_convention
from columna.evaluate.one_phase import (
    CONVENTION,
    check_one_phase,
    segment_one_phase,
    separate,
)
from columna.evaluate.outputs import write_evaluation
from columna.evaluate.overlap import match, overlap
from columna.evaluate.pairs import Pair, compare_masks
from columna.images.volume import load_volume, save_volume
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.layout import Layout
from columna.semantic.phase_1 import SemanticResult
from columna.stages.semantic import SemanticStage
from columna.train import sources
from columna.train.labels import ALL, LABELS, ONE_PHASE
from columna.train.networks import instance_training, semantic_training
from columna.train.networks.model_folders import export_semantic
from columna.train.networks.nnunet import export_trained
from columna.train.recipe import DatasetSettings, TrainConfig, parse_train_config
from columna.train.samples import dataset
from columna.train.samples.label_sets import label_sets
from columna.train.sources import Inputs
from columna.train.train_one import make_task, recipe_digest, train_phase

VERTEBRA = ["arcus", "spinous_process", "vertebral_body"]


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(
        PhantomSettings(region="lumbar", spacing_mm=(1.2, 1.2, 3.0), seed=3, fov_mm=(110, 150, 60))
    )


def quick(**more):
    phase = {"steps": 10, "mixed": 1, "validation_scenes": 1, "batch_size": 1}
    given = {"maps": 0, "workers": 0, "compute": "float32", "device": "cpu"}
    one = phase | {"classes": ONE_PHASE.name}
    return parse_train_config(given | {"semantic": one} | more, "test")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model folder with random weights."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    export_semantic(semantic_training.build_network(ONE_PHASE), folder, ONE_PHASE)
    return folder


def test_a_network_of_one_phase_has_the_weights_of_both_phases():
    pair = [semantic_training.build_network(ALL), instance_training.TASK.build_network()]
    one = semantic_training.build_network(ONE_PHASE)
    counts = [sum(p.numel() for p in network.parameters()) for network in (*pair, one)]
    assert counts[2] == pytest.approx(counts[0] + counts[1], rel=0.1)


def test_its_classes_merge_the_structures_that_spider_draws():
    spider = find_convention("spider").structures
    assert set(ONE_PHASE.structures) == set(spider)
    everything = np.arange(256, dtype=np.uint8)
    for number, name in enumerate(ONE_PHASE.structures, 1):
        drawn = find_convention("columna").structure(everything, name)
        assert (ONE_PHASE.class_of[drawn & np.isin(everything, LABELS)] == number).all()
    assert ONE_PHASE.class_of[26] == ONE_PHASE.class_of[62] == 0


@pytest.mark.slow
def test_ten_steps_give_a_model_of_one_phase(lumbar_map, tmp_path, monkeypatch):
    monkeypatch.setattr(semantic_training, "PATCH", (32, 32, 16))
    monkeypatch.setattr(sources, "fresh", lambda _: lumbar_map)
    model = train_phase("semantic", quick(), tmp_path, Inputs())
    assert check_one_phase(load_semantic_model(model, "cpu", "float32"))
    curves = pd.read_parquet(tmp_path / "curves.parquet")
    assert set(ONE_PHASE.structures) & set(curves.loc[curves.split == "validation", "measure"])


def test_a_scan_is_segmented_in_its_convention(untrained, phantom, tmp_path, monkeypatch):
    """Random weights know nothing, so the true mask stands in for the network's answer."""
    model = check_one_phase(load_semantic_model(untrained, "cpu", "float32"))
    scan = write_phantom(phantom, tmp_path, "sub-1")
    true = phantom.semantic.with_array(ONE_PHASE.class_of[phantom.semantic.array])
    monkeypatch.setattr(
        one_phase, "segment_semantic", lambda *_: SemanticResult(true.reoriented(), {}, {})
    )
    answer = segment_one_phase(scan, model, PrepareSettings(n4=False))
    assert set(np.unique(answer.semantic.array)) == {0, 1, 2, 3}
    assert answer.convention == CONVENTION
    assert answer.image.shape == answer.instance.shape == answer.semantic.shape
    assert len(answer.names) > 3


def test_a_run_refuses_it_instead_of_measuring_nonsense(untrained, tmp_path):
    config = Config.model_validate({"models": {"semantic": str(untrained), "device": "cpu"}})
    with pytest.raises(ModelError, match="no vertebral bodies"):
        SemanticStage(config, Layout(tmp_path)).open(1)
    with pytest.raises(ModelError, match="vertebra_disc_canal"):
        check_one_phase(load_semantic_model(find_model("bundled_semantic"), "cpu", "float32"))


def test_a_recipe_of_one_phase_trains_no_second_one(tmp_path):
    with pytest.raises(ConfigError, match="needs no phase 2"):
        train_phase("instance", quick(), tmp_path, Inputs())


def test_states_of_other_recipes_keep_their_digest():
    plain, one = (
        TrainConfig(),
        TrainConfig.model_validate({"semantic": {"classes": ONE_PHASE.name}}),
    )
    assert recipe_digest("semantic", plain) != recipe_digest("semantic", one)
    assert "classes" not in plain.semantic.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("labels", "more", "match"),
    [
        ({76: [*VERTEBRA, "endplate"]}, {}, "leaves open"),
        ({76: ["vertebral_body", "disc"]}, {}, "leaves open"),
        ({76: VERTEBRA}, {"background": ["disc"]}, "leaves open"),
    ],
)
def test_labels_that_merge_other_structures_are_refused(labels, more, match):
    datasets = {"spider": {"sheet": "s.tsv", "labels": labels, **more}}
    with pytest.raises(ConfigError, match=match):
        quick(datasets=datasets)


def test_nnunet_takes_labels_that_are_its_classes():
    recipe = {
        "semantic": {"engine": "nnunet", "classes": ONE_PHASE.name},
        "datasets": {
            "spider": {
                "sheet": "s.tsv",
                "labels": {76: VERTEBRA, 29: ["disc"], 150: ["spinal_canal"]},
                "background": ["sacrum", "endplate"],
            }
        },
    }
    parse_train_config(recipe, "test")
    recipe["datasets"]["spider"]["seam_mm"] = 1.0
    with pytest.raises(ConfigError, match="seam_mm"):
        parse_train_config(recipe, "test")


@pytest.mark.parametrize("given", ["full", "merged"])
def test_conversion_writes_three_classes_for_nnunet(given, phantom, tmp_path):
    """From masks of all structures, and from masks of the three, with other numbers."""
    path = write_phantom(phantom, tmp_path, "sub-1")
    mask, settings = tmp_path / "sub-1_seg-spine_dseg.nii.gz", {}
    if given == "merged":
        classes = ONE_PHASE.class_of[phantom.semantic.array]
        mask = tmp_path / "mask.nii.gz"
        save_volume(
            phantom.semantic.with_array(np.array([0, 76, 29, 150], np.uint8)[classes]), mask
        )
        bone = [name for name, members in zip(ALL.structures, ALL.members, strict=True)
                if ONE_PHASE.class_of[members[0]] == 1]  # fmt: skip
        settings = {
            "labels": {76: bone, 29: ["disc"], 150: ["spinal_cord", "spinal_canal"]},
            "background": ["sacrum", "endplate"],
        }
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(f"participant_id\tpath\tsemantic\np1\t{path.name}\t{mask.name}\n")
    datasets = {"mine": DatasetSettings(sheet=sheet, **settings)}
    [case] = dataset.convert(datasets, tmp_path / "raw", 2, PrepareSettings(n4=False), ONE_PHASE)
    assert case.status == "ok"
    written = load_volume(dataset.label_path(tmp_path / "raw", case.case))
    true = ONE_PHASE.class_of[phantom.semantic.reoriented(written.orientation).array]
    assert np.array_equal(written.array, true)
    described = json.loads((tmp_path / "raw" / "dataset.json").read_text())
    assert described["labels"] == {
        "background": 0, "vertebra": 1, "disc": 2, "canal_with_cord": 3,
    }  # fmt: skip


def test_an_nnunet_model_of_one_phase_keeps_its_three_classes(untrained, tmp_path):
    trained = tmp_path / "Dataset100_columna" / "trained"
    shutil.copytree(untrained, trained)
    export_trained(trained, tmp_path / "model")
    model = load_semantic_model(tmp_path / "model", "cpu", "float32")
    assert check_one_phase(model).class_labels.tolist() == [0, 1, 2, 3]


def test_samples_hold_the_three_classes(lumbar_map):
    task = make_task("semantic", quick())
    assert task.allowed.shape == (256, 4)
    assert set(task.structures.values()) == set(ONE_PHASE.structures)
    _, codes = task.cut_map(lumbar_map, np.random.default_rng(0))
    assert set(np.unique(codes)) <= {0, 1, 2, 3}
    assert {1, 3} <= set(np.unique(codes))
    lookup = label_sets({}, ONE_PHASE).mirrored()
    assert np.array_equal(lookup, np.arange(256))


# --- instances ---


def test_vertebrae_and_discs_of_true_masks_are_told_apart(phantom):
    semantic = phantom.semantic.with_array(ONE_PHASE.class_of[phantom.semantic.array])
    found = semantic.with_array(separate(semantic.array, semantic.spacing_mm))
    pair = Pair("a", "a", None, None, None, None, CONVENTION, "columna")
    true = {"semantic": phantom.semantic, "instance": phantom.instance}
    evaluated = compare_masks(pair, {"semantic": semantic, "instance": found}, true)
    values = {
        (row.structure, row.metric): row.value
        for row in evaluated.rows
        if row.unit == "scan" and row.stratum == "not_cut"
    }
    assert values["vertebra", "missed_n"] == 0
    assert values["vertebra", "dice_of_matched"] > 0.85
    assert values["disc", "missed_n"] == 0
    whole = {(r.structure, r.metric): r.value for r in evaluated.rows if r.unit == "structure"}
    assert whole["vertebra", "dice"] == 1
    assert ("sacrum", "dice") not in whole


def test_vertebrae_are_numbered_from_the_top(phantom):
    semantic = ONE_PHASE.class_of[phantom.semantic.array]
    found = separate(semantic, phantom.semantic.spacing_mm)
    for offset in (0, 100):
        labels = [n for n in np.unique(found) if n and (n > 100) == bool(offset)]
        assert labels == list(range(34 + offset, 34 + offset + len(labels)))
        heights = [np.nonzero(found == n)[1].mean() for n in labels]
        assert heights == sorted(heights)


def test_without_canal_or_bone_nothing_breaks(phantom):
    spacing = phantom.semantic.spacing_mm
    semantic = ONE_PHASE.class_of[phantom.semantic.array]
    assert not separate(np.zeros_like(semantic), spacing).any()
    assert not (separate(np.where(semantic == 1, 0, semantic), spacing) % 100 > 80).any()
    alone = separate(np.where(semantic == 1, 1, 0).astype(np.uint8), spacing)
    pairs = match(overlap(np.where(phantom.instance.array < 26, phantom.instance.array, 0), alone))
    assert len(np.unique(alone)) > 1 or pairs == {}


def test_the_command_takes_a_model_of_one_phase_only(tmp_path):
    arguments = ["train", "evaluate", "--out", str(tmp_path), "--one-phase", "bundled_semantic"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0
    assert isinstance(done.exception, ModelError)


def test_two_phases_are_compared_with_one(phantom, tmp_path):
    true = {"semantic": phantom.semantic, "instance": phantom.instance}
    merged = phantom.semantic.with_array(ONE_PHASE.class_of[phantom.semantic.array])
    parts = merged.with_array(separate(merged.array, merged.spacing_mm))
    answers = {"columna": true, CONVENTION: {"semantic": merged, "instance": parts}}
    for convention, masks in answers.items():
        pair = Pair("a", "a", None, None, None, None, convention, "columna")
        write_evaluation([compare_masks(pair, masks, true)], tmp_path / convention)
    folders = [str(tmp_path / name) for name in answers]
    names = ["--name", "two-phase", "--name", "one-phase"]
    done = CliRunner().invoke(app, ["compare", *folders, *names, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(tmp_path / "out" / "comparison.parquet")
    dice = rows[(rows.structure == "vertebra") & (rows.metric == "dice")].set_index("unit")
    assert dice.loc["structure", "mean_second"] == 1
    assert (dice.loc["instance", "mean_first"] >= dice.loc["instance", "mean_second"]).all()
    assert "arcus" not in set(rows.structure)
    printed = (tmp_path / "out" / "comparison.md").read_text()
    assert "two-phase" in printed
    assert "one-phase" in printed
