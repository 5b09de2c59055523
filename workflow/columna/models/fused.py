"""Convolution, normalisation and activation as one step, for inference on CPUs in float32.

The modules of torch spend as long on normalising as on convolving: instance normalisation copies
channels-last tensors to channels-first and back, and every step allocates a tensor. Here means and
variances are sums over blocks that fit the cache, kept in float64; normalisation and activation
happen in place. The statistics are those of the whole tensor, so answers change by rounding only.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from columna.models import winograd

_BLOCK_FLOATS = 1 << 18
Norm = nn.GroupNorm | nn.InstanceNorm3d


class FusedBlock(nn.Sequential):
    """The convolution, norm and activation of a network, run as one step.

    A Sequential of the very same modules, so that names of weights stay.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, ...) -> (n, outputs, ...)."""
        modules: list[Any] = [part for part in self if not isinstance(part, nn.Dropout3d)]
        return conv_norm_act(x, *modules)


class PointwiseConv(nn.Conv3d):
    """A 1 x 1 x 1 convolution that `pointwise` computes."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, ...) -> (n, outputs, ...)."""
        return pointwise(x, self)


def pointwise(x: Tensor, conv: nn.Conv3d) -> Tensor:
    """Apply a 1 x 1 x 1 convolution as the matrix product that it is."""
    rows = x.permute(0, 2, 3, 4, 1)
    return functional.linear(rows, conv.weight.flatten(1), conv.bias).permute(0, 4, 1, 2, 3)


def fuse(network: nn.Module) -> nn.Module:
    """Replace the convolution blocks of an nnU-Net, in place; other parts stay as they are."""
    for name, child in network.named_children():
        if type(child) is nn.Sequential and _is_block(list(child)):
            setattr(network, name, FusedBlock(*child))
        elif _is_pointwise(child):
            child.__class__ = PointwiseConv
        else:
            fuse(child)
    return network


def conv_norm_act(
    x: Tensor, conv: nn.Conv3d, norm: Norm, activation: nn.LeakyReLU | None = None
) -> Tensor:
    """Convolve, normalise over channels or groups of channels, and activate.

    Parameters
    ----------
    x
        float32, shape (n, channels, a, b, c).
    conv, norm, activation
        Convolution; instance or group normalisation; leaky ReLU or nothing.

    Returns
    -------
    Tensor
        Shape (n, outputs, ...), channels last in memory.
    """
    # the bias is left to the normalisation, which shifts anyway
    if winograd.suits(conv):
        answer = winograd.convolve(x, conv.weight)
    else:
        answer = functional.conv3d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation)
    answer = answer.contiguous(memory_format=torch.channels_last_3d)
    for sample in answer.permute(0, 2, 3, 4, 1):
        _normalise(sample.flatten(0, 1), conv.bias, norm, activation)
    return answer


def _is_pointwise(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv3d
        and module.kernel_size == module.stride == (1, 1, 1)
        and module.padding == (0, 0, 0)
        and module.groups == 1
    )


def _is_block(modules: list[nn.Module]) -> bool:
    """Whether modules are convolution, perhaps dropout, instance norm, perhaps leaky ReLU."""
    kinds = [type(module) for module in modules if not isinstance(module, nn.Dropout3d)]
    if kinds[:2] != [nn.Conv3d, nn.InstanceNorm3d] or kinds[2:] not in ([], [nn.LeakyReLU]):
        return False
    conv, norm = modules[0], modules[kinds.index(nn.InstanceNorm3d) + len(modules) - len(kinds)]
    return bool(conv.groups == 1 and conv.padding_mode == "zeros" and not norm.track_running_stats)


def _normalise(
    rows: Tensor, bias: Tensor | None, norm: Norm, activation: nn.LeakyReLU | None
) -> None:
    """Normalise and activate one sample, shape (a x b, c, channels), in place."""
    groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else rows.shape[2]
    scale, shift = _scale_and_shift(*_moments(rows), bias, norm, groups)
    # rows as wide as the tensor's let torch work through memory in one go
    scale, shift = (part.float().repeat(rows.shape[1]) for part in (scale, shift))
    for block in _blocks(rows):
        block.mul_(scale).add_(shift)
        if activation is not None:
            functional.leaky_relu_(block, activation.negative_slope)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and mean square of every channel, float64."""
    channels = rows.shape[2]
    total, squares = torch.zeros(2, channels, dtype=torch.float64)
    for block in _blocks(rows):
        values = block.view(-1, channels)
        total += values.sum(dim=0)
        squares += (values * values).sum(dim=0)
    count = rows.shape[0] * rows.shape[1]
    return total / count, squares / count


def _scale_and_shift(
    mean: Tensor, square: Tensor, bias: Tensor | None, norm: Norm, groups: int
) -> tuple[Tensor, Tensor]:
    """Factor and summand of every channel that normalise an answer without bias."""
    bias = torch.zeros_like(mean) if bias is None else bias.double()
    square = square + 2 * mean * bias + bias**2
    by_group = (mean + bias).view(groups, -1).mean(dim=1), square.view(groups, -1).mean(dim=1)
    variance = (by_group[1] - by_group[0] ** 2).clamp_min(0)
    each = len(mean) // groups
    scale = (1 / (variance + norm.eps).sqrt()).repeat_interleave(each)
    shift = (bias - by_group[0].repeat_interleave(each)) * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return scale, shift


def _blocks(rows: Tensor) -> Iterator[Tensor]:
    """Cut (rows, width, channels) into (some rows, width x channels)."""
    flat = rows.flatten(1)
    return iter(flat.split(max(_BLOCK_FLOATS // flat.shape[1], 1)))
