"""The instance network on a CPU: same answer, a fraction of the time and memory.

Three quarters of the forward pass are spent at full resolution, where a window of 248 x 304 x 64
has 300 MB of float32 features. Tensors are therefore changed in place and dropped when nothing
needs them any more, the one-hot input is never made, and convolutions run with their
normalisation (`models.fused`). The window is not cropped and statistics are those of the whole
window.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from columna.models.fused import conv_norm_act, pointwise
from columna.models.instance_network import (
    CODES,
    ConvBlock,
    InstanceUNet,
    ResidualBlock,
    levels_of,
)

_BLOCK = (32, 32, 32)
"""Voxels of a block of the first convolution."""


def can_run(network: nn.Module, device: torch.device, compute: torch.dtype) -> bool:
    """Say whether `window_logits` does what this network does there in this number format."""
    return isinstance(network, InstanceUNet) and device.type == "cpu" and compute == torch.float32


def window_logits(network: InstanceUNet, codes: Tensor) -> Tensor:
    """Run the network on one window.

    Parameters
    ----------
    network
        On the CPU, in float32.
    codes
        uint8, shape (P, I, R), every size divisible by 8.

    Returns
    -------
    Tensor
        float32, shape (classes, P, I, R), as ``network(network_input(codes))`` up to rounding.
    """
    first = x = _first_convolution(codes, network.init_conv)
    skips = []
    for block1, block2, shrink in levels_of(network.downs):
        x = _residual(block2, _residual(block1, x))
        skips.append(x)
        x = shrink(x)
    x = _residual(network.mid_block2, _residual(network.mid_block1, x))
    for block1, block2, grow in levels_of(network.ups):
        x = x.add_(skips.pop()).mul_(0.5)
        x = grow(_residual(block2, _residual(block1, x)))
    x = torch.cat((x, first), dim=1)
    del first
    return pointwise(_residual(network.final_res_block, x), network.final_conv)[0]


def _residual(block: ResidualBlock, x: Tensor) -> Tensor:
    answer = _block(block.block2, _block(block.block1, x))
    if isinstance(block.res_conv, nn.Identity):
        return answer.add_(x)
    rows, kernel = x.permute(0, 2, 3, 4, 1).flatten(0, 3), block.res_conv.weight.flatten(1)
    sums = answer.permute(0, 2, 3, 4, 1).flatten(0, 3)
    if block.res_conv.bias is not None:
        sums.add_(block.res_conv.bias)
    sums.addmm_(rows, kernel.T)
    return answer


def _block(block: ConvBlock, x: Tensor) -> Tensor:
    return conv_norm_act(x, block.proj, block.norm, block.act)


def _first_convolution(codes: Tensor, conv: nn.Conv3d) -> Tensor:
    """Convolve one-hot codes without making them: (P, I, R) -> (1, width, P, I, R).

    One-hot channels sum to one, so the answer is that of a window of background plus, for the
    few voxels that are something else, their code's kernel minus that of background.
    """
    if conv.in_channels == 1:
        return conv((codes.float() / CODES)[None, None])
    codes = torch.where(codes < conv.in_channels, codes, 0)
    answer = _background(codes.shape, conv)
    kernels = conv.weight - conv.weight[:, :1]
    reach = conv.kernel_size[0] // 2
    framed = functional.pad(codes, (reach,) * 6)
    for start in _block_starts(codes.shape):
        place = tuple(slice(s, s + n) for s, n in zip(start, _BLOCK, strict=True))
        near = framed[tuple(slice(p.start, p.stop + 2 * reach) for p in place)]
        present = near.unique()
        present = present[present > 0].long()
        if len(present):
            one_hot = (near == present.view(-1, 1, 1, 1)).float()[None]
            answer[(slice(None), slice(None), *place)] += functional.conv3d(
                one_hot.contiguous(memory_format=torch.channels_last_3d), kernels[:, present]
            )
    return answer


def _background(shape: tuple[int, ...], conv: nn.Conv3d) -> Tensor:
    """Answer of the first convolution to background only; near the border zeros come in."""
    size = conv.kernel_size[0]
    corner = functional.conv3d(
        torch.ones((1, 1, *conv.kernel_size)), conv.weight[:, :1], conv.bias, padding=size // 2
    )
    # where the kernel of a voxel sticks out, by how much; elsewhere the middle of the corner
    lines = []
    for length in shape:
        index = torch.arange(length)
        lines.append(index.clamp_max(size // 2) + (index - (length - 1 - size // 2)).clamp_min(0))
    table = corner[0].permute(1, 2, 3, 0).contiguous()
    return table[lines[0]][:, lines[1]][:, :, lines[2]].permute(3, 0, 1, 2)[None]


def _block_starts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    ranges = (torch.arange(0, n, step) for n, step in zip(shape, _BLOCK, strict=True))
    return torch.cartesian_prod(*ranges).tolist()
