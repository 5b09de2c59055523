"""Logits of a whole image from overlapping tiles (spineps-behaviour 3.2).

Tile positions are nnU-Net's, weights those of SPINEPS. Sums are float32 with weights of at most
1: SPINEPS sums float16 with weights of 1000, which rounds and can overflow (its weakness W14).
Folds and mirrored passes go into the same sum, so that memory holds one volume of logits whatever
their number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window
from torch import Tensor, nn

from columna.models.device import inference
from columna.semantic.tile_weights import tile_weights

Tile = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Window:
    """How to walk over an image.

    Parameters
    ----------
    patch_size
        Voxels of a tile.
    step_size
        Largest distance of neighbouring tiles, as a fraction of the tile.
    mirror_axes
        Average over the passes mirrored along every combination of these axes.
    batch_size
        Tiles per forward pass.
    """

    patch_size: tuple[int, int, int]
    step_size: float
    mirror_axes: tuple[int, ...] = ()
    batch_size: int = 1

    def tiles(self, shape: Sequence[int]) -> list[Tile]:
        """Tiles that cover an image of `shape`, which is at least as large as a tile."""
        steps = compute_steps_for_sliding_window(tuple(shape), self.patch_size, self.step_size)
        return [
            tuple(slice(s, s + n) for s, n in zip(start, self.patch_size, strict=True))
            for start in product(*steps)
        ]


def predict_logits(
    networks: Iterable[nn.Module],
    image: np.ndarray,
    window: Window,
    classes: int,
    device: torch.device,
    compute: torch.dtype,
) -> Tensor:
    """Average the logits of all networks, mirrored passes and overlapping tiles.

    Parameters
    ----------
    networks
        The folds; each is used before the next is asked for.
    image
        float32, shape (channels, a, b, c).
    classes
        Outputs of the network.
    device, compute
        Where the networks run, in which number format.

    Returns
    -------
    Tensor
        float32, shape (classes, a, b, c); on the CPU, unless `device` has room for twice as much.
    """
    padded, inside = _pad(torch.from_numpy(image), window.patch_size)
    place = _place_of_sums(classes * padded[0].numel() * 4, device)
    gaussian = tile_weights(window.patch_size).to(place)
    tiles = window.tiles(padded.shape[1:])
    total = torch.zeros((classes, *padded.shape[1:]), device=place)
    passes = 0
    with inference(device, compute):
        for network in networks:
            passes += 1
            for batch in _batches(tiles, window.batch_size):
                logits = _predict_tiles(network, padded, batch, window.mirror_axes, device)
                for tile, answer in zip(batch, logits.to(place).float(), strict=True):
                    total[(slice(None), *tile)].addcmul_(answer, gaussian)
    return total.div_(_sum_of_weights(tiles, gaussian, total.shape[1:]) * passes)[inside]


def _predict_tiles(
    network: nn.Module,
    image: Tensor,
    tiles: Sequence[Tile],
    mirror_axes: Sequence[int],
    device: torch.device,
) -> Tensor:
    """Logits of a batch of tiles, averaged over mirrored passes."""
    batch = torch.stack([image[(slice(None), *tile)] for tile in tiles]).to(device)
    if device.type == "cpu":
        batch = batch.to(memory_format=torch.channels_last_3d)
    answer = network(batch)
    flips = list(_flips(mirror_axes))
    for axes in flips:
        answer = answer + network(batch.flip(axes)).flip(axes)
    return answer / (len(flips) + 1) if flips else answer


def _flips(mirror_axes: Sequence[int]) -> Iterable[list[int]]:
    """Every non-empty combination of axes, counted with batch and channel in front."""
    axes = [axis + 2 for axis in mirror_axes]
    every = chain.from_iterable(combinations(axes, n) for n in range(1, len(axes) + 1))
    return (list(flip) for flip in every)


def _batches(tiles: Sequence[Tile], size: int) -> Iterable[Sequence[Tile]]:
    return (tiles[start : start + size] for start in range(0, len(tiles), size))


def _pad(image: Tensor, patch_size: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
    """Pad with zeros up to one tile, evenly on both sides, and say where the image lies."""
    margins = [max(n - size, 0) for size, n in zip(image.shape[1:], patch_size, strict=True)]
    if not any(margins):
        return image, (slice(None),) * 4
    before = [margin // 2 for margin in margins]
    widths = [(b, m - b) for b, m in zip(before, margins, strict=True)]
    padded = nn.functional.pad(image, [width for pair in reversed(widths) for width in pair])
    inside = (slice(b, b + n) for b, n in zip(before, image.shape[1:], strict=True))
    return padded, (slice(None), *inside)


def _sum_of_weights(tiles: Sequence[Tile], gaussian: Tensor, shape: Sequence[int]) -> Tensor:
    """Sum of the tiles' weights in every voxel."""
    weights = torch.zeros(tuple(shape), device=gaussian.device)
    for tile in tiles:
        weights[tile] += gaussian
    return weights


def _place_of_sums(size: int, device: torch.device) -> torch.device:
    """Keep sums beside the network if `size` bytes fit there twice, else on the CPU."""
    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] > 2 * size:
        return device
    return torch.device("cpu")
