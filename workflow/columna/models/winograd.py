"""Convolution with a third to a half of the multiplications, for CPUs.

Winograd's minimal filtering F(4, 3) (Lavin and Gray, CVPR 2016, arXiv 1509.09308) along one axis:
six products give four outputs of a 3-tap filter, where the direct way takes twelve. The other axes
stay ordinary two-dimensional convolutions, which oneDNN runs near the peak of the processor. Blocks
are small enough for the cache. Answers differ from direct convolution by rounding only
(1e-5 of their size).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_OUTPUTS, _TAPS = 4, 6
"""Outputs of a tile, and inputs that they depend on."""
_BLOCK_FLOATS = 1 << 20
"""Size of the mixed inputs of a block: 4 MB, about what a cache holds."""
_FEWEST_ROWS = 8
_FEWEST_PAIRS = 32 * 16
"""With fewer pairs of channels, memory traffic costs more than the saved products (measured)."""

_INPUT = [
    [4.0, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL: list[list[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [
    [1.0, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]


def suits(conv: nn.Conv3d) -> bool:
    """Say whether `convolve` computes what `conv` does, and faster."""
    return (
        conv.kernel_size == (3, 3, 3)
        and conv.padding == (1, 1, 1)
        and conv.stride == conv.dilation == (1, 1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.in_channels * conv.out_channels >= _FEWEST_PAIRS
    )


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with 3 x 3 x 3 kernels, without bias; the size stays the same.

    Parameters
    ----------
    x
        float32, shape (n, channels, a, b, c).
    weight
        Shape (outputs, channels, 3, 3, 3).

    Returns
    -------
    Tensor
        Shape (n, outputs, a, b, c); channels last in memory.
    """
    # summed tap by tap: a matrix product rounds differently with another number of threads
    kernels = [
        _weighted(factors, weight.unbind(2)).contiguous(memory_format=torch.channels_last)
        for factors in _KERNEL
    ]
    n, _, *size = x.shape
    answer = torch.empty((n, *size, len(weight)))
    for source, target in zip(x.permute(0, 2, 3, 4, 1), answer, strict=True):
        for block in _blocks(source.shape):
            _convolve_block(source, kernels, target, *block)
    return answer.permute(0, 4, 1, 2, 3)


def _weighted(factors: Sequence[float], taps: Sequence[Tensor]) -> Tensor:
    first, *others = (factor * tap for factor, tap in zip(factors, taps, strict=True))
    return sum(others, 0 + first)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Planes (whole tiles, the last may be cut) and rows of every block."""
    length, height, width, channels = shape
    fitting = max(_BLOCK_FLOATS // (_TAPS * width * channels), 1)
    rows = min(max(fitting - 2, _FEWEST_ROWS), height)
    planes = _OUTPUTS * max(fitting // (rows + 2), 1)
    for plane in range(0, length, planes):
        for row in range(0, height, rows):
            yield (
                slice(plane, min(plane + planes, length)),
                slice(row, min(row + rows, height)),
            )


def _convolve_block(
    source: Tensor, kernels: list[Tensor], target: Tensor, planes: slice, rows: slice
) -> None:
    """Convolve one block of (a, b, c, channels) into `target`."""
    tiles = -(-(planes.stop - planes.start) // _OUTPUTS)
    block = _with_margin(source, planes.start, tiles * _OUTPUTS, rows)
    into, out_of = torch.tensor(_INPUT), torch.tensor(_OUTPUT)
    mixed = torch.empty((_TAPS, tiles, *block.shape[1:]))
    for tile in range(tiles):
        window = block[tile * _OUTPUTS :][:_TAPS]
        _mix(into, window.flatten(1), mixed[:, tile].flatten(1))
    products = torch.empty((_TAPS, tiles, rows.stop - rows.start, *target.shape[2:]))
    for product, inputs, kernel in zip(products, mixed, kernels, strict=True):
        convolved = functional.conv2d(inputs.permute(0, 3, 1, 2), kernel, padding=(0, 1))
        product.copy_(convolved.permute(0, 2, 3, 1))
    for tile in range(tiles):
        first = planes.start + tile * _OUTPUTS
        place = target[first : min(first + _OUTPUTS, planes.stop), rows].flatten(1)
        _mix(out_of[: len(place)], products[:, tile].flatten(1), place)


def _mix(factors: Tensor, planes: Tensor, mixed: Tensor) -> None:
    """Write ``factors @ planes`` to `mixed`.

    Three rows at a time: with six, MKL rounds differently when the number of threads changes.
    """
    for some, target in zip(factors.split(3), mixed.split(3), strict=True):
        torch.mm(some, planes, out=target)


def _with_margin(source: Tensor, first: int, length: int, rows: slice) -> Tensor:
    """Copy a block with one plane and one row more on every side; zeros outside of `source`."""
    block = torch.zeros((length + 2, rows.stop - rows.start + 2, *source.shape[2:]))
    plane, row = max(first - 1, 0), max(rows.start - 1, 0)
    inside = source[plane : first + length + 1, row : rows.stop + 1]
    at, down = plane - (first - 1), row - (rows.start - 1)
    block[at : at + len(inside), down : down + inside.shape[1]] = inside
    return block
