"""Logits of a whole image from overlapping tiles (docs/method.md#sliding-window).

Tile positions are nnU-Net's, weights those of SPINEPS. Sums are float32 with weights of at most
1: SPINEPS sums float16 with weights of 1000 (docs/differences.md#w14).
Folds and mirrored passes go into the same sum, and tiles come row by row along one axis: logits
are handed on as soon as no later tile touches them, so that memory holds those of one row of tiles,
whatever the size of the image.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window
from torch import Tensor, nn

from columna.images.triple import three
from columna.models.device import inference
from columna.semantic.tile_weights import tile_weights

Tile = tuple[slice, slice, slice]
TileNetwork = Callable[[Tensor], Tensor]


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
            three(slice(s, s + n) for s, n in zip(start, self.patch_size, strict=True))
            for start in product(*steps)
        ]

    def rows(self, shape: Sequence[int]) -> tuple[int, dict[int, list[Tile]]]:
        """Axis along which a tile is the smallest part of the image; start on it -> tiles."""
        axis = int(np.argmin([n / size for n, size in zip(self.patch_size, shape, strict=True)]))
        rows: dict[int, list[Tile]] = {}
        for tile in self.tiles(shape):
            rows.setdefault(tile[axis].start, []).append(tile)
        return axis, rows


def predict_logits(
    networks: Callable[[], Iterable[TileNetwork]],
    image: np.ndarray,
    window: Window,
    classes: int,
    device: torch.device,
    compute: torch.dtype,
) -> Iterator[tuple[Tile, Tensor]]:
    """Average the logits of all networks, mirrored passes and overlapping tiles.

    Parameters
    ----------
    networks
        Gives the folds; each is used before the next is asked for. Called once per row of tiles.
    image
        float32, shape (channels, a, b, c).
    window
        How to walk over the image.
    classes
        Outputs of the network.
    device, compute
        Where the networks run, in which number format.

    Yields
    ------
    tuple of slice
        A slab of the image; the slabs cover it, and each voxel is in one of them.
    Tensor
        Its logits, float32, shape (classes, ...); on the CPU, unless `device` has room for them.
    """
    padded, inside = _pad(torch.from_numpy(image), window.patch_size)
    axis, rows = window.rows(padded.shape[1:])
    length = window.patch_size[axis]
    shape = [length if i == axis else n for i, n in enumerate(padded.shape[1:])]
    place = _place_of_sums(classes * int(np.prod(shape)) * 4, device)
    gaussian = tile_weights(window.patch_size).to(place)
    sums, weights = torch.zeros((classes, *shape), device=place), torch.zeros(shape, device=place)
    ends = [*list(rows)[1:], padded.shape[1 + axis]]
    for (start, tiles), end in zip(rows.items(), ends, strict=True):
        with inference(device, compute):
            for network in networks():
                for batch in _batches(tiles, window.batch_size):
                    logits = _predict_tiles(network, padded, batch, window.mirror_axes, device)
                    for tile, answer in zip(batch, logits.to(place).float(), strict=True):
                        here = _replaced(tile, axis, slice(None))
                        sums[(slice(None), *here)].addcmul_(answer, gaussian)
                        weights[here] += gaussian
        done = end - start
        finished = sums.narrow(1 + axis, 0, done) / weights.narrow(axis, 0, done)
        # slices may be longer than what they cut: then they take all of it
        yield (
            _replaced((slice(None),) * 3, axis, slice(start, end)),
            finished[(slice(None), *inside)],
        )
        _move_up(sums, 1 + axis, done)
        _move_up(weights, axis, done)


def _replaced(slices: Tile, axis: int, by: slice) -> Tile:
    """`slices`, with another one along `axis`."""
    return three((*slices[:axis], by, *slices[axis + 1 :]))


def _move_up(sums: Tensor, axis: int, done: int) -> None:
    """Drop the first `done` planes along `axis`, and make room for as many new ones."""
    left = sums.shape[axis] - done
    sums.narrow(axis, 0, left).copy_(sums.narrow(axis, done, left).clone())
    sums.narrow(axis, left, done).zero_()


def _predict_tiles(
    network: TileNetwork,
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


def _pad(image: Tensor, patch_size: Sequence[int]) -> tuple[Tensor, Tile]:
    """Pad with zeros up to one tile, evenly on both sides, and say where the image lies."""
    margins = [max(n - size, 0) for size, n in zip(image.shape[1:], patch_size, strict=True)]
    if not any(margins):
        return image, (slice(None),) * 3
    before = [margin // 2 for margin in margins]
    widths = [(b, m - b) for b, m in zip(before, margins, strict=True)]
    padded = nn.functional.pad(image, [width for pair in reversed(widths) for width in pair])
    inside = three(slice(b, b + n) for b, n in zip(before, image.shape[1:], strict=True))
    return padded, inside


def _place_of_sums(size: int, device: torch.device) -> torch.device:
    """Keep sums beside the network if `size` bytes fit there twice, else on the CPU."""
    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] > 2 * size:
        return device
    return torch.device("cpu")
