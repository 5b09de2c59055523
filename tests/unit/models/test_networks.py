import logging

import numpy as np
import pytest
import torch
from tiny_models import (
    ARCHITECTURE,
    ARCHITECTURE_PLAN,
    CLASSIC_PLAN,
    PATCH,
    tiny_unet,
    write_instance,
    write_semantic,
)

from columna.errors import ModelError
from columna.models.device import choose_compute, choose_device, inference
from columna.models.instance_network import (
    InstanceUNet,
    load_instance_model,
    network_from_state,
    state_for_checkpoint,
)
from columna.models.semantic_network import load_semantic_model


@pytest.mark.parametrize(
    ("channels", "width", "parameters"),
    [(10, 16, 5_375_124), (11, 8, 1_361_924), (1, 8, 1_334_484)],
)
def test_instance_topology_is_the_released_one(channels, width, parameters):
    network = InstanceUNet(channels, width)
    assert sum(p.numel() for p in network.parameters()) == parameters
    state = state_for_checkpoint(network)
    assert len(state) == 182
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    d = width
    assert shapes["network.init_conv.weight"] == (d, channels, 7, 7, 7)
    assert shapes["network.downs.3.0.res_conv.weight"] == (8 * d, 4 * d, 1, 1, 1)
    assert shapes["network.downs.2.2.weight"] == (4 * d, 4 * d, 4, 4, 4)
    assert shapes["network.ups.0.0.block1.proj.weight"] == (4 * d, 8 * d, 3, 3, 3)
    assert shapes["network.ups.2.2.weight"] == (d, d, 4, 4, 4)
    assert shapes["network.mid_block2.block2.norm.bias"] == (8 * d,)
    assert shapes["network.final_res_block.res_conv.weight"] == (d, 2 * d, 1, 1, 1)
    assert not {"network.downs.0.0.res_conv.weight", "network.ups.3.0.res_conv.weight"} & set(state)


@pytest.mark.parametrize("prefix", ["network.", ""])
def test_instance_network_is_read_from_its_tensors(prefix):
    torch.manual_seed(1)
    network = InstanceUNet(3, 8, classes=2).eval()
    state = {prefix + key: tensor for key, tensor in network.state_dict().items()}
    if prefix:
        state["loss.weight"] = torch.ones(4)
    again = network_from_state(state)
    assert (again.channels, again.width, again.classes) == (3, 8, 2)
    window = torch.rand(1, 3, 8, 16, 8)
    with torch.inference_mode():
        assert torch.equal(again(window), network(window))


def test_instance_network_refuses_other_tensors():
    state = InstanceUNet(1, 8).state_dict()
    with pytest.raises(ModelError, match=r"final_conv\.weight"):
        network_from_state({k: v for k, v in state.items() if not k.startswith("final_conv")})
    with pytest.raises(ModelError, match="mid_block1"):
        network_from_state({k: v for k, v in state.items() if not k.startswith("mid_block1")})


def test_load_instance_model(tmp_path):
    model = load_instance_model(write_instance(tmp_path / "m", channels=10, width=8), device="cpu")
    assert model.network.channels == 10
    assert not model.network.training
    assert model.digest
    with pytest.raises(ModelError, match="not an instance model"):
        load_instance_model(write_semantic(tmp_path / "s"))


@pytest.mark.parametrize("plan", [CLASSIC_PLAN, ARCHITECTURE_PLAN])
def test_both_plan_styles_give_the_trained_network(tmp_path, plan):
    model = load_semantic_model(write_semantic(tmp_path, plan=plan), "cpu", "float32")
    tile = torch.rand(1, 1, *PATCH)
    with torch.inference_mode():
        answer, expected = model.network(tile), tiny_unet(0)(tile)
    torch.testing.assert_close(answer, expected)
    assert model.patch_size == PATCH
    assert model.class_labels.tolist() == [0, 49, 100, 26]


def test_each_fold_brings_its_own_weights(tmp_path):
    """An older SPINEPS ran the last fold's weights for every fold."""
    folder = write_semantic(tmp_path, folds=("0", "1"), available_folds=2)
    model = load_semantic_model(folder, "cpu", "float32")
    tile = torch.rand(1, 1, *PATCH)
    with torch.inference_mode():
        for _ in range(2):
            answers = [network(tile) for network in model.networks()]
            torch.testing.assert_close(answers, [tiny_unet(0)(tile), tiny_unet(1)(tile)])


def test_weights_of_another_network_are_refused(tmp_path):
    folder = write_semantic(tmp_path, folds=("0", "1"), available_folds=2)
    path = folder / "fold_1" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["network_weights"].popitem()
    torch.save(checkpoint, path)
    with pytest.raises(ModelError, match="fold_1"):
        load_semantic_model(folder, "cpu")


def test_plans_cannot_name_arbitrary_code(tmp_path):
    for key, value in [("network_class_name", "subprocess.Popen"), ("arch_kwargs", None)]:
        architecture = dict(ARCHITECTURE)
        if value:
            architecture[key] = value
        else:
            architecture[key] = ARCHITECTURE["arch_kwargs"] | {"nonlin": "os.system"}
        plan = ARCHITECTURE_PLAN | {"architecture": architecture}
        folder = write_semantic(tmp_path / key, plan=plan)
        with pytest.raises(ModelError, match=r"subprocess\.Popen|os\.system"):
            load_semantic_model(folder, "cpu")


def test_classes_without_label_are_named(tmp_path, caplog):
    folder = write_semantic(tmp_path, labels={"1": "Vertebra_Disc"})
    with caplog.at_level(logging.WARNING):
        model = load_semantic_model(folder, "cpu")
    assert "[2, 3]" in caplog.text
    assert model.class_labels.tolist() == [0, 100, 0, 0]


def test_labels_without_class_are_named(tmp_path, caplog):
    folder = write_semantic(tmp_path, labels={"1": 49, "2": 100, "3": 26, "9": 41})
    with caplog.at_level(logging.WARNING):
        load_semantic_model(folder, "cpu")
    assert "[9]" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"expected_inputs": ["img", "seg"]}, "inputs"),
        ({"labels": {"1": 300}}, "300"),
        ({"modality": "SEG"}, "not a semantic"),
        ({"modality": ["CT"]}, "the model is for CT"),
        ({"model_expected_orientation": ["P", "I", "A"]}, "names an axis twice"),
        ({"plan": CLASSIC_PLAN | {"patch_size": [16, 16]}}, "2-D"),
        ({"plan": CLASSIC_PLAN | {"normalization_schemes": ["Nonsense"]}}, "Nonsense"),
    ],
)
def test_unsupported_models_are_refused_with_the_reason(tmp_path, wrong, message):
    with pytest.raises(ModelError, match=message):
        load_semantic_model(write_semantic(tmp_path, **wrong), "cpu")


def test_number_formats():
    cpu = choose_device("cpu")
    assert choose_compute("float16", cpu) == torch.float16
    assert choose_compute("auto", torch.device("cuda")) == torch.float16
    has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert choose_compute("auto", cpu) == (torch.bfloat16 if has_bfloat16 else torch.float32)
    layer = torch.nn.Conv3d(1, 1, 1)
    with inference(cpu, torch.bfloat16):
        assert layer(torch.ones(1, 1, 2, 2, 2)).dtype == torch.bfloat16
    with inference(cpu, torch.float32):
        assert layer(torch.ones(1, 1, 2, 2, 2)).dtype == torch.float32
    with pytest.raises(ModelError, match="toaster"):
        choose_device("toaster")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a CUDA device that is not there")
def test_missing_cuda_is_said():
    with pytest.raises(ModelError, match="CUDA"):
        choose_device("cuda")


def test_number_formats_agree(tmp_path):
    """Half precision may round answers, not change them."""
    network = tiny_unet(3)
    tile = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, *PATCH)).astype(np.float32))
    with inference(torch.device("cpu"), torch.float32):
        exact = network(tile)
    with inference(torch.device("cpu"), torch.bfloat16):
        rough = network(tile).float()
    assert (exact - rough).abs().max() < 0.1 * exact.abs().max()
