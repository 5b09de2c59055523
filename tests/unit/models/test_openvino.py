"""Compiled networks give the answers of torch, whatever the threads and the batch size."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import PATCH, tiny_unet, write_instance, write_semantic
from torch import nn

from columna.models import instance_network, openvino, semantic_network
from columna.models.instance_network import InstanceUNet, OneHot, load_instance_model
from columna.models.openvino import CompiledNetwork, suits
from columna.models.semantic_network import load_semantic_model

CPU = torch.device("cpu")


def close(ours, plain):
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3)


def compiled(network, sample, *, threads=1, compute=torch.float32, width=4):
    return CompiledNetwork(network, sample, compute, threads, width)


def residual_unet():
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    torch.manual_seed(0)
    return ResidualEncoderUNet(
        1, 2, (4, 8), nn.Conv3d, 3, (1, 2), 1, 3, 1, True, nn.InstanceNorm3d,
        {"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
    ).eval()  # fmt: skip


@pytest.mark.parametrize("make", [lambda: tiny_unet(0), residual_unet])
def test_an_nnunet_answers_as_in_torch(make):
    network = make()
    x = torch.randn((3, 1, *PATCH), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = network(x)
        ours = compiled(network, x[:1], threads=2)(x)
    close(ours, plain)
    assert len(plain.argmax(1).unique()) > 1


@pytest.mark.parametrize("channels", [1, 4, 10])
def test_the_instance_network_sees_one_channel_per_code(channels):
    """Codes that the network does not know are background; one channel holds code / 9."""
    torch.manual_seed(2)
    network = InstanceUNet(channels, 8).eval()
    codes = torch.randint(0, 12, (2, 16, 24, 8), dtype=torch.uint8)
    known = torch.where(codes < channels, codes, 0).long()
    one_hot = nn.functional.one_hot(known, channels).movedim(-1, 1).float()
    with torch.inference_mode():
        plain = network(codes[:, None].float() / 9 if channels == 1 else one_hot)
        close(OneHot(network)(codes), plain)
        close(compiled(OneHot(network), codes[:1])(codes), plain)


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_neither_threads_nor_batches_change_a_bit(compute):
    torch.manual_seed(3)
    network = InstanceUNet(4, 16).eval()
    codes = torch.randint(0, 4, (5, 24, 32, 16), dtype=torch.uint8)
    answers = []
    for threads in (1, 2, 4):
        run = compiled(OneHot(network), codes[:1], threads=threads, compute=compute, width=16)
        assert run.at_once == threads
        answers += [run(codes), torch.cat([run(one) for one in codes.split(1)])]
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_large_samples_share_the_memory(monkeypatch):
    monkeypatch.setattr(openvino, "MEMORY_BYTES", 3 * 4 * 4 * 4 * np.prod(PATCH))
    assert compiled(tiny_unet(0), torch.zeros((1, 1, *PATCH)), threads=8).at_once == 3


def test_only_formats_that_it_knows_on_cpus():
    assert suits(CPU, torch.float32)
    assert suits(CPU, torch.bfloat16)
    assert not suits(CPU, torch.float16)
    assert not suits(torch.device("cuda"), torch.float32)


def test_models_run_by_torch_where_it_is_missing(tmp_path, monkeypatch):
    semantic = write_semantic(tmp_path / "s", folds=("0", "1"), available_folds=2)
    instance = write_instance(tmp_path / "i", cutout_size=[48, 48, 16])
    tile = torch.randn((1, 1, *PATCH), generator=torch.Generator().manual_seed(4))
    windows = {}
    answers = {}
    for way in ("openvino", "torch"):
        if way == "torch":
            for module in (semantic_network, instance_network):
                monkeypatch.setattr(module, "suits", lambda *_: False)
        phase_1 = load_semantic_model(semantic, "cpu", "float32")
        phase_2 = load_instance_model(instance, "cpu", "float32")
        codes = torch.arange(np.prod(phase_2.config.cutout_size)) % 9
        codes = codes.to(torch.uint8).view(1, *phase_2.config.cutout_size)
        with torch.inference_mode():
            answers[way] = [network(tile).clone() for network in phase_1.networks()]
            windows[way] = phase_2.logits(codes)
    assert not torch.equal(*answers["torch"]), "two folds"
    for ours, plain in zip(answers["openvino"], answers["torch"], strict=True):
        close(ours, plain)
    ours, plain = (windows[way].argmax(dim=1) for way in ("openvino", "torch"))
    assert (ours == plain).float().mean() >= 0.99
    assert len(plain.unique()) > 1


def test_nothing_is_reported_to_the_makers():
    """The package that reports every import of OpenVINO is never loaded."""
    code = (
        "import sys, torch; from tiny_models import PATCH, tiny_unet;"
        "from columna.models.openvino import CompiledNetwork;"
        "CompiledNetwork(tiny_unet(0), torch.zeros((1, 1, *PATCH)), torch.float32, 1, 4);"
        "assert 'openvino' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=_with_path())


def _with_path():
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_a_model_with_other_weights_is_compiled_anew(tmp_path):
    model = load_semantic_model(write_semantic(tmp_path), "cpu", "float32")
    tile = torch.ones((1, 1, *PATCH))
    other = replace(model, fold_weights=(tiny_unet(7).state_dict(),))
    with torch.inference_mode():
        [one], [two] = ([n(tile) for n in m.networks()] for m in (model, other))
    assert not torch.equal(one, two)
