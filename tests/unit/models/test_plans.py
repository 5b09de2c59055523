"""What the JSON files of a model folder say is data: never code, never more than fits, never a
traceback."""

import copy
import json
import math
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import (
    ARCHITECTURE,
    ARCHITECTURE_PLAN,
    CLASSIC_PLAN,
    attempt,
    write_instance,
    write_semantic,
)

from columna.errors import ModelError
from columna.models.architecture import PARTS, build_network
from columna.models.folder import RECEIPT_NAME, ModelFolder
from columna.models.instance_network import load_instance_model
from columna.models.plans import Architecture, count_classes, read_plan
from columna.models.registry import verify_model
from columna.models.semantic_network import load_semantic_model

UNETS = "dynamic_network_architectures.architectures.unet"


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load_semantic_model(folder, "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_arguments(**changes):
    """The plan with an architecture block, with other arguments of the network."""
    arguments = ARCHITECTURE["arch_kwargs"] | changes
    return ARCHITECTURE_PLAN | {"architecture": ARCHITECTURE | {"arch_kwargs": arguments}}


# Code


CALLABLES = [
    "torch.nn.functional.torch.hub.load",
    "torch.nn.modules.module.torch.os.system",
    "torch.nn.modules.conv.Conv3d.__init__",
    "torch.nn.modules.conv.torch.load",
    "dynamic_network_architectures.building_blocks.helper.torch.compile",
    "dynamic_network_architectures.architectures.unet.torch.nn.Conv3d",
    "torch.nn.Conv3d ",
    "torch.nn.Module",
    "os.system",
    "",
]


@pytest.mark.parametrize("name", CALLABLES)
@pytest.mark.parametrize("argument", [*PARTS, "network_class_name"])
def test_only_listed_classes_are_looked_up(tmp_path, name, argument):
    if argument == "network_class_name":
        plan = ARCHITECTURE_PLAN | {"architecture": ARCHITECTURE | {argument: name}}
    else:
        plan = with_arguments(**{argument: name})
    assert argument in refusal(write_semantic(tmp_path, plan=plan))


def test_a_plan_cannot_have_a_module_imported(tmp_path, monkeypatch):
    (tmp_path / "payload.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    architecture = ARCHITECTURE | {"_kw_requires_import": ["payload.py", "nonlin", "n_stages"]}
    changes = [
        {"architecture": architecture | {"network_class_name": "payload.x"}},
        {"normalization_schemes": ["payload"]},
        {"architecture": architecture, "resampling_fn_data": "payload.x"},
    ]
    for number, change in enumerate(changes):
        folder = write_semantic(tmp_path / str(number), plan=ARCHITECTURE_PLAN | change)
        plans = json.loads((folder / "plans.json").read_text())
        changed = plans | {"label_manager": "payload", "image_reader_writer": "payload"}
        (folder / "plans.json").write_text(json.dumps(changed))
        shutil.copy(tmp_path / "payload.py", folder)
        _, sentence = attempt(load_semantic_model, folder, "cpu")
        assert sentence is None or "payload" in sentence
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("scheme", ["np", "ABC", "ImageNormalization", "__name__", "RGBTo01"])
def test_normalisations_are_listed_too(tmp_path, scheme):
    plan = CLASSIC_PLAN | {"normalization_schemes": [scheme]}
    assert scheme in refusal(write_semantic(tmp_path, plan=plan))


@pytest.mark.parametrize("fold", ["../../elsewhere", "0/../1", "/", "", ".", "0\n", "a" * 99])
def test_folds_cannot_lead_out_of_the_folder(tmp_path, fold):
    assert "available_folds" in refusal(write_semantic(tmp_path, available_folds=[fold]))


@pytest.mark.parametrize("arguments", [{"device": "cuda"}, {"num_groups": 1}, {"eps": "x"}])
def test_layers_take_known_arguments_only(tmp_path, arguments):
    plan = with_arguments(norm_op_kwargs=arguments)
    assert "norm_op_kwargs" in refusal(write_semantic(tmp_path, plan=plan))


@pytest.mark.parametrize(
    "name", [f"{UNETS}.ResidualEncoderUNet", f"{UNETS[:-4]}residual_unet.ResidualEncoderUNet"]
)
def test_residual_encoders_are_built(name):
    arguments = ARCHITECTURE["arch_kwargs"] | {"n_blocks_per_stage": [1, 3]}
    del arguments["n_conv_per_stage"]
    block = {"network_class_name": name, "arch_kwargs": arguments}
    network = build_network(Architecture.model_validate(block), 1, 4)
    assert type(network).__name__ == "ResidualEncoderUNet"
    plain = block | {"network_class_name": f"{UNETS}.PlainConvUNet"}
    with pytest.raises(ModelError, match="does not fit"):
        build_network(Architecture.model_validate(plain), 1, 4)


# Numbers


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"patch_size": [8, 16, 100_000]}, "patch_size"),
        ({"patch_size": [1024, 1024, 1024]}, "patch_size"),
        ({"patch_size": [8, 16, 15]}, "strides"),
        ({"patch_size": [8, 16, 0]}, "patch_size"),
        ({"spacing": [1e-6, 0.75, 0.75]}, "spacing"),
        ({"spacing": [0.1, 0.1, 0.1]}, "mm3"),
        ({"spacing": [1, 1, math.inf]}, "spacing"),
        ({"spacing": [1, 1, math.nan]}, "spacing"),
        ({"UNet_base_num_features": 10**9, "unet_max_num_features": 10**9}, "features"),
        ({"n_conv_per_stage_encoder": [1, 10**9]}, "n_conv_per_stage"),
        ({"n_conv_per_stage_encoder": [1] * 10**3}, "n_conv_per_stage"),
        ({"n_conv_per_stage_encoder": [1, 1, 1]}, "3 stages"),
        ({"pool_op_kernel_sizes": [[1, 1, 1], [10**6, 2, 2]]}, "strides"),
        ({"pool_op_kernel_sizes": [[2, 2, 2], [2, 2, 2]]}, "first stage"),
        ({"conv_kernel_sizes": [[1, 3, 3], [99, 99, 99]]}, "kernel_sizes"),
    ],
)
def test_numbers_of_plans_have_bounds(tmp_path, change, told):
    assert told in refusal(write_semantic(tmp_path, plan=CLASSIC_PLAN | change))


def test_wide_networks_with_large_patches_are_refused(tmp_path):
    """A file of a few megabytes could name a network whose features fill a machine."""
    plan = with_arguments(features_per_stage=[2048, 8])
    plan["patch_size"] = [64, 256, 256]
    assert "memory" in refusal(write_semantic(tmp_path, plan=plan))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"available_folds": 10**12}, "available_folds"),
        ({"cutout_size": [248, 304, 10**7]}, "cutout_size"),
        ({"cutout_size": [1024, 1024, 1024]}, "cutout_size"),
        ({"cutout_size": [250, 304, 64]}, "cutout_size"),
        ({"default_step_size": 1e-9}, "default_step_size"),
        ({"resolution_range": [1e-3, 1e-3, 1e-3]}, "resolution_range"),
        ({"resolution_range": [0.2, 0.2, 0.2]}, "resolution_range"),
        ({"resolution_range": [math.inf, 1, 1]}, "resolution_range"),
        ({"resolution_range": [[2, 2, 2], [1, 1, 1]]}, "resolution_range"),
        ({"mapping": {"-1": 3}}, "mapping"),
        ({"mapping": {"300": 3}}, "mapping"),
        ({"mapping": {"41": 1000}}, "mapping"),
        ({"corpus_size_cleaning": -1}, "corpus_size_cleaning"),
        ({"labels": {"1": 26.5}}, "labels"),
        ({"labels": {"1": [[]]}}, "labels"),
    ],
)
def test_numbers_of_inference_configs_have_bounds(tmp_path, change, told):
    with pytest.raises(ModelError, match=told):
        load_instance_model(write_instance(tmp_path, **change), "cpu")


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0},
        {"background": 0, "a": 1, "b": 10**9},
        {"background": 0, "a": 2},
        {"background": 1, "a": 0},
        {"a": 1},
        {"background": 0, "a": [1, 2]},
        {"background": 0, "a": "1"},
        [],
        None,
    ],
)
def test_labels_count_without_gaps(tmp_path, labels):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"channel_names": {"0": "MR"}, "labels": labels}))
    with pytest.raises(ModelError, match=r"dataset\.json"):
        count_classes(path)


def test_ignored_labels_are_no_classes(tmp_path):
    labels = {"background": [0], "a": 1, "b": [2], "ignore": 3}
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"modality": {"0": "MR"}, "labels": labels}))
    assert count_classes(path) == 3


@pytest.mark.parametrize("parent", ["3d_custom", "nowhere", 7, [[]]])
def test_configurations_that_inherit_from_nothing(tmp_path, parent):
    folder = write_semantic(tmp_path, plan={"inherits_from": parent})
    assert "inherits" in refusal(folder)


# Broken JSON


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["", "0", "NaN", "torch.nn.Conv3d", "\ud800", "\x1b[31m\n", "../.."])
    | st.text(max_size=6)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def places(content, path=()):
    """Paths of all nodes of a JSON document."""
    yield path
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places(content[key], (*path, key))


def exchanged(content, path, value):
    """The document with another value at `path`; without it for ``...``."""
    if not path:
        return {} if value is ... else value
    content = copy.deepcopy(content)
    node = content
    for key in path[:-1]:
        node = node[key]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return content


MODELS = {
    "classic": (write_semantic, {"plan": CLASSIC_PLAN}, load_semantic_model),
    "architecture": (write_semantic, {"plan": ARCHITECTURE_PLAN}, load_semantic_model),
    "instance": (write_instance, {}, load_instance_model),
}
FILES = [
    ("classic", "plans.json"),
    ("architecture", "plans.json"),
    ("classic", "dataset.json"),
    ("classic", "inference_config.json"),
    ("instance", "inference_config.json"),
    ("instance", RECEIPT_NAME),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of each kind."""
    made = {}
    for name, (write, options, _) in MODELS.items():
        made[name] = write(tmp_path_factory.mktemp(name), **options)
        receipt = {"url": "", "archive_sha256": "", "digest": ""}
        (made[name] / RECEIPT_NAME).write_text(json.dumps(receipt))
    return made


def load_and_verify(load, folder):
    verify_model(folder)
    return load(folder, "cpu", "float32")


def loads_or_says_why(load, folder):
    model, sentence = attempt(load_and_verify, load, folder)
    if model is None:
        assert "\n" not in sentence
        assert len(sentence) < 2000
        assert str(folder) in sentence
    else:
        assert model.grid.orientation


@pytest.mark.parametrize(("kind", "name"), FILES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_json_loads_or_is_refused_in_a_sentence(models, kind, name, data):
    path = models[kind] / name
    good = path.read_text()
    content = json.loads(good)
    place = data.draw(st.sampled_from(list(places(content))))
    value = data.draw(st.just(...) | VALUES)
    try:
        path.write_text(json.dumps(exchanged(content, place, value)))
        loads_or_says_why(MODELS[kind][2], models[kind])
    finally:
        path.write_text(good)


@pytest.mark.parametrize(("kind", "name"), FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"null", b"\x00" * 9],
)
def test_any_bytes_are_refused_in_a_sentence(models, kind, name, content):
    path = models[kind] / name
    good = path.read_bytes()
    try:
        path.write_bytes(content)
        with pytest.raises(ModelError, match=name):
            verify_model(models[kind]) if name == RECEIPT_NAME else MODELS[kind][2](models[kind])
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "inference_config.json"])
def test_missing_files_are_named(tmp_path, name):
    folder = write_semantic(tmp_path)
    (folder / name).unlink()
    refusal(folder)
    (folder / name).mkdir()
    assert name in refusal(folder)


def test_the_plan_of_the_bundled_network_is_within_bounds():
    from columna.models.registry import find_model

    folder = ModelFolder.read(find_model("bundled_semantic"))
    assert read_plan(folder.path / "plans.json", "3d_fullres").spacing_mm == (1.0, 1.0, 2.5)
