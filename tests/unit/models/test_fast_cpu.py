"""What runs on CPUs gives the answers of the plain networks."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import PATCH, tiny_unet
from torch import nn

from columna.instance.windows import network_input
from columna.models import winograd
from columna.models.fused import FusedBlock, PointwiseConv, conv_norm_act, fuse, pointwise
from columna.models.instance_cpu import can_run, window_logits
from columna.models.instance_network import InstanceUNet

CPU = torch.device("cpu")


def close(ours, plain):
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


@settings(max_examples=12, deadline=None)
@given(
    size=st.tuples(st.integers(1, 13), st.integers(1, 23), st.integers(1, 7)),
    channels=st.sampled_from([(32, 16), (24, 40)]),
    n=st.integers(1, 2),
    block=st.sampled_from([1 << 9, 1 << 12, 1 << 20]),
)
def test_winograd_is_a_convolution(size, channels, n, block):
    torch.manual_seed(sum(size))
    conv = nn.Conv3d(*channels, 3, padding=1, bias=False)
    x = torch.randn(n, channels[0], *size)
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_BLOCK_FLOATS", block)
        close(winograd.convolve(x, conv.weight), conv(x))


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2},
        {"padding": 0},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"kernel_size": (1, 3, 3), "padding": (0, 1, 1)},
        {"padding_mode": "circular"},
        {"in_channels": 8},
    ],
)
def test_winograd_leaves_other_convolutions_alone(other):
    usual = {"in_channels": 32, "out_channels": 32, "kernel_size": 3, "padding": 1}
    assert winograd.suits(nn.Conv3d(**usual))
    assert not winograd.suits(nn.Conv3d(**usual | other))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm3d(32, affine=True),
        nn.InstanceNorm3d(32),
        nn.GroupNorm(8, 32),
        nn.GroupNorm(4, 32, affine=False),
    ],
)
@pytest.mark.parametrize("kernel", [3, (1, 3, 3)])
@pytest.mark.parametrize("activation", [nn.LeakyReLU(0.2), None])
def test_fused_step_is_the_modules_one_by_one(bias, norm, kernel, activation):
    torch.manual_seed(1)
    padding = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else 1
    conv = nn.Conv3d(32, 32, kernel, padding=padding, bias=bias)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    if bias:
        # far from zero: variances must not drown in the square of the mean
        nn.init.constant_(conv.bias, 30.0)
    x = torch.randn(2, 32, 9, 10, 11)
    modules = nn.Sequential(conv, norm, activation or nn.Identity())
    with torch.inference_mode():
        ours = conv_norm_act(x, conv, norm, activation)
        # with such a bias float32 is too coarse for the modules of torch
        close(ours.double(), modules.double()(x.double()))


def test_every_block_of_an_nnunet_is_fused_and_keeps_its_weights_names():
    plain = tiny_unet(0)
    fused = fuse(copy.deepcopy(plain))
    assert list(fused.state_dict()) == list(plain.state_dict())
    kinds = [type(module) for module in fused.modules()]
    assert kinds.count(FusedBlock) == sum(k is nn.InstanceNorm3d for k in kinds)
    assert PointwiseConv in kinds
    fused.load_state_dict(tiny_unet(1).state_dict())
    x = torch.randn(2, 1, *PATCH)
    with torch.inference_mode():
        close(fused(x), tiny_unet(1)(x))


def test_residual_nnunets_are_fused_too():
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    torch.manual_seed(0)
    plain = ResidualEncoderUNet(
        1, 2, (4, 8), nn.Conv3d, 3, (1, 2), 1, 3, 1, True, nn.InstanceNorm3d,
        {"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
    ).eval()  # fmt: skip
    fused = fuse(copy.deepcopy(plain))
    assert any(isinstance(module, FusedBlock) for module in fused.modules())
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        close(fused(x), plain(x))


def test_batch_normalisation_is_not_taken_for_instance_normalisation():
    blocks = nn.Sequential(
        nn.Sequential(nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.LeakyReLU()),
        nn.Sequential(nn.Conv3d(8, 8, 3), nn.InstanceNorm3d(8), nn.ReLU()),
        nn.Sequential(
            nn.Conv3d(8, 8, 3), nn.InstanceNorm3d(8, track_running_stats=True), nn.LeakyReLU()
        ),
    )
    assert not any(isinstance(module, FusedBlock) for module in fuse(blocks).modules())


@pytest.mark.parametrize("channels", [1, 4, 10])
@pytest.mark.parametrize("size", [(16, 40, 8), (64, 16, 24)])
def test_instance_network_window_by_window(channels, size):
    """Codes up to the border, codes that the network does not know, blocks of air."""
    torch.manual_seed(2)
    network = InstanceUNet(channels, 8).eval()
    codes = torch.randint(0, 12, size, dtype=torch.uint8)
    codes[: size[0] // 2] = 0
    with torch.inference_mode():
        plain = network(network_input(codes[None], channels))[0]
        ours = window_logits(network, codes)
    close(ours, plain)
    assert len(plain.argmax(0).unique()) > 1
    assert (ours.argmax(0) == plain.argmax(0)).float().mean() >= 0.999


def test_window_of_air():
    torch.manual_seed(3)
    network = InstanceUNet(10, 8).eval()
    codes = torch.zeros((16, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        close(window_logits(network, codes), network(network_input(codes[None], 10))[0])


@pytest.mark.parametrize("channels", [8, 64])
def test_thread_count_does_not_change_the_answer(channels):
    torch.manual_seed(4)
    conv, norm = nn.Conv3d(channels, channels, 3, padding=1), nn.GroupNorm(8, channels)
    x = torch.randn(1, channels, 12, 16, 16)
    before, answers = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                answers.append(conv_norm_act(x, conv, norm, nn.LeakyReLU(0.01)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*answers)


def test_only_float32_on_cpus_runs_this_way():
    network = InstanceUNet(3, 8)
    assert can_run(network, CPU, torch.float32)
    assert not can_run(network, CPU, torch.bfloat16)
    assert not can_run(network, torch.device("cuda"), torch.float32)
    assert not can_run(nn.Identity(), CPU, torch.float32)


def test_pointwise_is_a_convolution():
    torch.manual_seed(5)
    conv, x = nn.Conv3d(5, 3, 1), torch.randn(2, 5, 4, 6, 7)
    with torch.inference_mode():
        close(pointwise(x, conv), conv(x))
