"""Weights are loaded whole, finite, as recorded, under whatever prefixes, or not at all."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import PATCH, attempt, tiny_unet, write_instance, write_semantic

from columna.errors import ModelError
from columna.models import registry
from columna.models.checkpoint import load_checkpoint
from columna.models.folder import RECEIPT_NAME, ModelFolder
from columna.models.instance_network import InstanceUNet, load_instance_model, network_from_state
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.models.weights import fitting_weights, plain_weights
from columna.train.networks.start import starting_weights

PREFIXES = [
    "_orig_mod.",
    "module.",
    "_orig_mod.module.",
    "module._orig_mod.",
    "network.",
    "network._orig_mod.",
    "_orig_mod.network.",
    "network.module.",
    "module._orig_mod.network._orig_mod.module.",
]


def change_checkpoint(path, entry, change):
    checkpoint = torch.load(path, weights_only=False)
    checkpoint[entry] = change(checkpoint[entry])
    torch.save(checkpoint, path)


def prefixed(prefix):
    return lambda state: {prefix + name.removeprefix("network."): state[name] for name in state}


# Prefixes


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_of_wrappers_do_not_count(tmp_path, prefix):
    semantic, instance = write_semantic(tmp_path / "s"), write_instance(tmp_path / "i")
    plain = load_instance_model(instance, "cpu").network.state_dict()
    checkpoint = semantic / "fold_0/checkpoint_final.pth"
    change_checkpoint(checkpoint, "network_weights", prefixed(prefix))
    change_checkpoint(instance / "vert_weights.ckpt", "state_dict", prefixed(prefix))
    tile = torch.rand(1, 1, *PATCH)
    with torch.inference_mode():
        answer = load_semantic_model(semantic, "cpu", "float32").network(tile)
        torch.testing.assert_close(answer, tiny_unet(0)(tile))
    loaded = load_instance_model(instance, "cpu").network.state_dict()
    assert all(torch.equal(loaded[name], plain[name]) for name in plain)
    assert starting_weights("semantic", str(semantic)).keys() == tiny_unet(0).state_dict().keys()
    assert starting_weights("instance", str(instance)).keys() == plain.keys()


def test_networks_whose_parts_were_compiled():
    state = InstanceUNet(1, 8).state_dict()
    compiled = {name.replace("downs.", "downs._orig_mod."): state[name] for name in state}
    assert network_from_state(compiled).width == 8


def test_a_compiled_network_of_torch():
    network = InstanceUNet(1, 8)
    compiled = torch.compile(network).state_dict()
    assert all(name.startswith("_orig_mod.") for name in compiled)
    assert network_from_state(compiled).width == 8


def test_two_weights_under_one_name_are_refused():
    state = InstanceUNet(1, 8).state_dict()
    state["_orig_mod.init_conv.weight"] = torch.zeros_like(state["init_conv.weight"])
    with pytest.raises(ModelError, match=r"init_conv\.weight' more than once"):
        network_from_state(state)


# Values and shapes


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["final_conv.bias", "mid_block1.block1.proj.weight"])
def test_one_value_that_is_not_finite(tmp_path, value, name):
    def broken(state):
        state["network." + name].flatten()[0] = value
        return state

    folder = write_instance(tmp_path)
    change_checkpoint(folder / "vert_weights.ckpt", "state_dict", broken)
    with pytest.raises(ModelError, match=rf"vert_weights\.ckpt.*not an instance.*NaN.*{name}"):
        load_instance_model(folder, "cpu")


def test_every_fold_is_checked(tmp_path):
    def broken(state):
        state["decoder.seg_layers.0.bias"][1] = float("nan")
        return state

    folder = write_semantic(tmp_path, folds=("0", "1"), available_folds=2)
    change_checkpoint(folder / "fold_1/checkpoint_final.pth", "network_weights", broken)
    with pytest.raises(ModelError, match=r"fold_1.*NaN"):
        load_semantic_model(folder, "cpu")


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"a": 1},
        {1: torch.zeros(2)},
        {"init_conv.weight": torch.zeros(2).to_sparse()},
        {"init_conv.weight": torch.zeros(2, dtype=torch.complex64)},
        {"init_conv.weight": torch.tensor(1.0), "final_conv.weight": torch.tensor(1.0)},
        {"init_conv.weight": torch.zeros(0, 0), "final_conv.weight": torch.zeros(2, 1)},
    ],
)
def test_other_content_is_refused_in_a_sentence(tmp_path, state):
    folder = write_instance(tmp_path / "i")
    change_checkpoint(folder / "vert_weights.ckpt", "state_dict", lambda _: state)
    with pytest.raises(ModelError, match=r"vert_weights\.ckpt"):
        load_instance_model(folder, "cpu")
    folder = write_semantic(tmp_path / "s")
    path = folder / "fold_0/checkpoint_final.pth"
    change_checkpoint(path, "network_weights", lambda _: state)
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth"):
        load_semantic_model(folder, "cpu")


@pytest.mark.parametrize("entry", ["init_args", "inference_allowed_mirroring_axes"])
@pytest.mark.parametrize("value", [7, "x", {"configuration": [1]}, [3], [[0]], [0.5]])
def test_odd_entries_of_checkpoints(tmp_path, entry, value):
    folder = write_semantic(tmp_path)
    change_checkpoint(folder / "fold_0/checkpoint_final.pth", entry, lambda _: value)
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth"):
        load_semantic_model(folder, "cpu")


def test_a_small_file_cannot_ask_for_much_memory():
    """Tensors of any shape may be views of a single number."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in InstanceUNet(64, 64).state_dict().items()}
    state = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    with pytest.raises(ModelError, match="share memory"):
        network_from_state(state)
    state["init_conv.weight"] = torch.zeros(1).expand(10**6, 10**6, 7, 7, 7)
    with pytest.raises(ModelError, match="width"):
        network_from_state(state)


def test_copies_do_not_follow_the_file(tmp_path):
    """Weights of later folds are read long after the file was checked."""
    folder = write_semantic(tmp_path, folds=("0", "1"), available_folds=2)
    model = load_semantic_model(folder, "cpu", "float32")
    path = folder / "fold_1/checkpoint_final.pth"
    with open(path, "r+b") as stream:
        stream.write(bytes(path.stat().st_size))
    tile = torch.rand(1, 1, *PATCH)
    with torch.inference_mode():
        answers = [network(tile) for network in model.networks()]
        torch.testing.assert_close(answers, [tiny_unet(0)(tile), tiny_unet(1)(tile)])


def test_shared_tensors_stay_shared():
    network = tiny_unet(0)
    copies = fitting_weights(network, plain_weights(network.state_dict()))
    places = {tensor.data_ptr() for tensor in copies.values()}
    assert len(places) == len(list(network.parameters())) < len(copies)


# Digests


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small checkpoint of the usual format, with everything that they carry."""
    path = tmp_path_factory.mktemp("c") / "c.ckpt"
    state = torch.nn.Conv3d(2, 3, 2).state_dict()
    torch.save({"state_dict": state, "best": np.float64(0.5), "seen": np.arange(4)}, path)
    return path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_changes_nothing(checkpoint, tmp_path_factory, share, bit):
    content = bytearray(checkpoint.read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    path = tmp_path_factory.mktemp("f") / "c.ckpt"
    path.write_bytes(content)
    loaded, sentence = attempt(load_checkpoint, path)
    if loaded is None:
        assert "c.ckpt" in sentence
    else:
        good = load_checkpoint(checkpoint)
        assert loaded.keys() == good.keys()
        assert loaded["best"] == good["best"]
        assert np.array_equal(loaded["seen"], good["seen"])
        for name, tensor in good["state_dict"].items():
            assert torch.equal(loaded["state_dict"][name], tensor)


@pytest.mark.parametrize("name", ["bundled_semantic", "bundled_instance"])
def test_known_models_are_compared_with_the_table(tmp_path, monkeypatch, name):
    copied = shutil.copytree(find_model(name), tmp_path / name)
    load = load_semantic_model if "semantic" in name else load_instance_model
    config = copied / "inference_config.json"
    config.write_text(config.read_text().replace("Bundled", "bundled"))
    assert load(copied, "cpu").digest, "a folder of one's own may be anything"
    (tmp_path / "x").mkdir()
    monkeypatch.setenv(registry.MODELS_VARIABLE, str(tmp_path))
    for folder in (find_model(name), tmp_path / "x" / ".." / name):
        with pytest.raises(ModelError, match=f"{name}: has changed; its digest is"):
            load(folder, "cpu")
    with pytest.raises(ModelError, match="has changed"):
        starting_weights(name.removeprefix("bundled_"), name)


def test_fetched_models_are_compared_with_their_receipt(tmp_path):
    folder = write_instance(tmp_path)
    receipt = {"url": "", "archive_sha256": "", "digest": ModelFolder.read(folder).digest}
    (folder / RECEIPT_NAME).write_text(json.dumps(receipt))
    load_instance_model(folder, "cpu")
    change_checkpoint(folder / "vert_weights.ckpt", "state_dict", lambda state: state)
    config = folder / "inference_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ModelError, match=f"has changed.*remove its {RECEIPT_NAME}"):
        load_instance_model(folder, "cpu")


@pytest.mark.parametrize(
    ("write", "load"),
    [(write_semantic, load_semantic_model), (write_instance, load_instance_model)],
)
def test_weights_are_those_of_the_digest_that_the_job_began_with(tmp_path, write, load):
    """A job notes the digest in every result before it loads the network."""
    folder = ModelFolder.read(write(tmp_path))
    noted = folder.digest
    assert load(folder, "cpu").digest == noted
    path = folder.files[-1]
    shutil.copy(path, tmp_path / "before")
    entry = "network_weights" if path.suffix == ".pth" else "state_dict"
    change_checkpoint(path, entry, lambda state: {name: 2 * state[name] for name in state})
    with pytest.raises(ModelError, match=f"has changed while it was used.*{noted}"):
        load(folder, "cpu")
    shutil.copy(tmp_path / "before", path)
    assert load(folder, "cpu").digest == noted


# Archives of torch


def test_compressed_checkpoints_are_no_way_to_a_bomb(tmp_path):
    torch.save({"x": torch.zeros(1 << 20)}, tmp_path / "plain.ckpt")
    packed = tmp_path / "packed.ckpt"
    with (
        zipfile.ZipFile(tmp_path / "plain.ckpt") as plain,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in plain.infolist():
            target.writestr(member.filename, plain.read(member))
    with pytest.raises(ModelError, match="compressed"):
        load_checkpoint(packed)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "circle"])
@pytest.mark.parametrize(
    "name",
    ["inference_config.json", "plans.json", "dataset.json", "fold_0/checkpoint_final.pth",
     "vert_weights.ckpt", RECEIPT_NAME],
)  # fmt: skip
def test_files_of_models_are_regular_files(tmp_path, name, kind):
    """Reading a pipe would wait for ever, a device would never end."""
    is_instance = name.endswith((".ckpt", RECEIPT_NAME))
    folder = (write_instance if is_instance else write_semantic)(tmp_path / "m")
    path = folder / name
    path.unlink(missing_ok=True)
    {
        "pipe": os.mkfifo,
        "device": lambda p: p.symlink_to("/dev/zero"),
        "folder": lambda p: p.mkdir(),
        "circle": lambda p: p.symlink_to(p.name),
    }[kind](path)
    load = load_instance_model if is_instance else load_semantic_model
    _, sentence = attempt(load, folder, "cpu")
    assert (sentence is None) == (name == RECEIPT_NAME and kind == "circle")
    assert sentence is None or ("\n" not in sentence and str(folder) in sentence)


# Numbers of NumPy


class Forged:
    """Reduces to a call of numpy.dtype with a state of the attacker's."""

    def __init__(self, code, state):
        self.code, self.state = code, state

    def __reduce__(self):
        return np.dtype, (self.code, False, True), self.state


@pytest.mark.parametrize(
    ("code", "state"),
    [
        # flags that make NumPy take eight bytes for the address of an object
        ("f8", (3, "<", None, None, None, -1, -1, 63)),
        ("f8", (3, "|", None, ("a",), {"a": (np.dtype("f8"), 0)}, 8, 8, 63)),
        ("O", None),
        ("V8", None),
        ("f8,O", None),
    ],
)
def test_number_types_cannot_be_forged(tmp_path, code, state):
    """Whatever the state says, values stay numbers."""

    class Array:
        def __reduce__(self):
            maker = np._core.multiarray._reconstruct
            content = (1, (1,), Forged(code, state), False, (1234).to_bytes(8, "little"))
            return maker, (np.ndarray, (0,), b"b"), content

    path = tmp_path / "forged.ckpt"
    torch.save({"x": Array()}, path)
    loaded, sentence = attempt(load_checkpoint, path)
    if loaded is None:
        assert "forged.ckpt" in sentence
    else:
        assert loaded["x"].dtype == np.float64
        assert not loaded["x"].dtype.hasobject


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.25), np.int8(-3), np.bool_(True), np.complex64(1 + 2j), np.str_("née"),
        np.arange(6, dtype=">i2").reshape(2, 3), np.asfortranarray(np.eye(3)), np.zeros((0, 2)),
    ],
)  # fmt: skip
def test_numbers_and_arrays_come_back(tmp_path, value):
    torch.save({"x": value}, tmp_path / "c.ckpt")
    loaded = load_checkpoint(tmp_path / "c.ckpt")["x"]
    assert np.array_equal(loaded, value)
    assert loaded.dtype == value.dtype.newbyteorder("=")
