import json
import logging
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ARCHITECTURE_PLAN, CLASSIC_PLAN, CONFIG, write_instance, write_semantic

from columna.errors import ModelError
from columna.models.checkpoint import load_checkpoint
from columna.models.folder import ModelFolder
from columna.models.grid import ModelGrid
from columna.models.inference_config import label_number, read_inference_config

PIR = ("P", "I", "R")
SIZES = st.tuples(*[st.floats(0.2, 8)] * 3)


def read(tmp_path, **changes):
    path = tmp_path / "inference_config.json"
    path.write_text(json.dumps({k: v for k, v in (CONFIG | changes).items() if v is not None}))
    return read_inference_config(path)


@given(SIZES, SIZES, SIZES)
def test_range_is_clamped_and_a_clamped_size_stays(one, other, spacing):
    low = tuple(map(min, one, other))
    high = tuple(map(max, one, other))
    grid = ModelGrid(PIR, low, high)
    target = grid.target_spacing_mm(spacing)
    assert all(a <= t <= b for a, t, b in zip(low, target, high, strict=True))
    assert all(t == s for t, s, a, b in zip(target, spacing, low, high, strict=True) if a <= s <= b)
    assert grid.target_spacing_mm(target) == target


def test_plan_spacing_wins_over_the_range():
    grid = ModelGrid(PIR, (0.5,) * 3, (2.0,) * 3, plan_spacing_mm=(0.7, 0.8, 3.0))
    assert grid.target_spacing_mm((1, 1, 1)) == (0.7, 0.8, 3.0)


def test_config_defaults_and_fixed_zoom(tmp_path):
    config = read(tmp_path)
    assert config.minimum_mm == config.maximum_mm == (0.75, 0.75, 1.65)
    assert config.cutout_size == (248, 304, 64)
    assert config.mapping[50] == 9
    assert config.mapping[26] == 0
    assert config.labels == {1: 49, 2: 100, 3: 26}


def test_config_range(tmp_path):
    config = read(tmp_path, resolution_range=[[0.5, 0.6, 1], [0.9, 1.0, 4]])
    assert config.minimum_mm == (0.5, 0.6, 1)
    assert config.maximum_mm == (0.9, 1.0, 4)


@pytest.mark.parametrize(
    ("folds", "expected"), [(3, ("0", "1", "2")), ("all", ("all",)), ([1, 4], ("1", "4"))]
)
def test_config_folds(tmp_path, folds, expected):
    assert read(tmp_path, available_folds=folds).available_folds == expected


@pytest.mark.parametrize(
    ("modality", "modeltype", "role"),
    [
        (["T2w", "T1w"], "nnunet", "semantic"),
        ("SEG", "unet", "instance"),
        ("T2w", "classifier", "labelling"),
    ],
)
def test_role(tmp_path, modality, modeltype, role):
    assert read(tmp_path, modality=modality, modeltype=modeltype).role == role


def test_unknown_keys_are_logged_and_ignored(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read(tmp_path, colour="red")
    assert "colour" in caplog.text


@pytest.mark.parametrize("key", ["labels", "available_folds", "resolution_range", "modality"])
def test_missing_key_names_file_and_key(tmp_path, key):
    with pytest.raises(ModelError, match=rf"inference_config\.json.*{key}"):
        read(tmp_path, **{key: None})


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"1": "Unicorn"}},
        {"resolution_range": [0.75, 0, 1]},
        {"model_expected_orientation": ["P", "I", "X"]},
        {"default_step_size": 0},
        {"available_folds": []},
    ],
)
def test_unusable_values_name_the_key(tmp_path, wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        read(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("name", "number"),
    [("Spinosus_Process", 42), ("T13", 28), ("L6", 25), ("S1", 26), ("C1", 1), ("7", 7), (61, 61)],
)
def test_label_names(name, number):
    assert label_number(name) == number


def test_exactly_one_config(tmp_path):
    with pytest.raises(ModelError, match="found 0"):
        ModelFolder.read(tmp_path)
    write_semantic(tmp_path / "a")
    assert ModelFolder.read(tmp_path).path == tmp_path / "a"
    write_instance(tmp_path / "b")
    with pytest.raises(ModelError, match="found 2"):
        ModelFolder.read(tmp_path)


def test_digest_is_of_used_content_only(tmp_path):
    folder = write_semantic(tmp_path / "model", folds=("0", "1"), available_folds=2)
    digest = ModelFolder.read(folder).digest
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    (moved / "notes.txt").write_text("not used")
    (moved / "fold_0" / "checkpoint_best.pth").write_text("not used")
    assert ModelFolder.read(moved).digest == digest
    weights = moved / "fold_1" / "checkpoint_final.pth"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert ModelFolder.read(moved).digest != digest


def test_digest_notices_exchanged_folds(tmp_path):
    folder = write_semantic(tmp_path / "model", folds=("0", "1"), available_folds=2)
    digest = ModelFolder.read(folder).digest
    for old, new in [("fold_0", "x"), ("fold_1", "fold_0"), ("x", "fold_1")]:
        (folder / old).rename(folder / new)
    assert ModelFolder.read(folder).digest != digest


def test_best_checkpoint_and_fold_all_are_second_choices(tmp_path):
    best = write_semantic(tmp_path / "best", checkpoint_name="checkpoint_best.pth")
    assert ModelFolder.read(best).fold_checkpoints == (best / "fold_0" / "checkpoint_best.pth",)
    every = write_semantic(tmp_path / "all", folds=("0", "all"), available_folds=2)
    assert ModelFolder.read(every).fold_checkpoints == (every / "fold_all/checkpoint_final.pth",)
    none = write_semantic(tmp_path / "none", folds=())
    with pytest.raises(ModelError, match="fold_0"):
        _ = ModelFolder.read(none).fold_checkpoints


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_plan_spacing_follows_the_axes(tmp_path, transpose):
    """The plan spacing is in transposed z, y, x; the grid's in x, y, z."""
    zyx = (3.3, 0.8, 0.7)
    plan = CLASSIC_PLAN | {"spacing": [zyx[axis] for axis in transpose]}
    folder = ModelFolder.read(write_semantic(tmp_path, plan=plan, transpose=transpose))
    assert folder.grid.plan_spacing_mm == zyx[::-1]


def test_several_configurations_and_inheritance(tmp_path):
    """The checkpoint says which configuration; what it does not say it inherits."""
    child = {"inherits_from": "parent", "batch_size": 7}
    folder = write_semantic(
        tmp_path,
        plan=child,
        more_configurations={
            "parent": ARCHITECTURE_PLAN,
            "2d": {"spacing": [0.5, 0.5]},
        },
    )
    assert ModelFolder.read(folder).grid.plan_spacing_mm == (0.75, 0.75, 1.65)


def test_nnunet_v1_is_refused(tmp_path):
    folder = write_semantic(tmp_path)
    (folder / "plans.json").rename(folder / "plans.pkl")
    with pytest.raises(ModelError, match="pickle"):
        _ = ModelFolder.read(folder).grid


def test_instance_folder(tmp_path):
    folder = ModelFolder.read(write_instance(tmp_path / "m", cutout_size=[96, 96, 16]))
    assert folder.grid.plan_spacing_mm is None
    assert folder.config.cutout_size == (96, 96, 16)
    (folder.path / "other_weights.ckpt").write_text("")
    with pytest.raises(ModelError, match="exactly one"):
        _ = ModelFolder.read(folder.path).instance_checkpoint


LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.mark.parametrize(
    "name",
    [
        "inference_config.json",
        "plans.json",
        "dataset.json",
        "fold_0/checkpoint_final.pth",
    ],
)
@pytest.mark.parametrize("text", [LFS_POINTER, "/annex/objects/SHA256E-s12345--4d7a21.json\n"])
def test_pointers_in_place_of_a_models_files_say_what_to_get(tmp_path, name, text):
    write_semantic(tmp_path)
    (file,) = tmp_path.rglob(name)
    file.write_text(text)
    told = "git-annex pointer.*datalad get" if "annex" in text else "Git LFS pointer.*git lfs pull"
    with pytest.raises(ModelError, match=f"{name}: The file is a {told}"):
        read_whole_model(tmp_path)


def read_whole_model(path):
    folder = ModelFolder.read(path)
    folder.read_plan("3d_custom")
    folder.count_classes()
    load_checkpoint(folder.fold_checkpoints[0])
