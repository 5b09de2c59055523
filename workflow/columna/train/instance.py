"""Phase 2: the instance network and its windows cut from degraded phantom masks."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from columna.anatomy import SACRUM, Semantic, anatomical_order, vertebra_labels
from columna.models.instance_network import InstanceUNet
from columna.train.degrade import degraded
from columna.train.scenes import scenes

SPACING_MM = (1.75, 1.75, 1.65)
"""Voxel size of the network's grid in PIR.

Bodies are eroded by two voxels before they are counted (spineps-behaviour 4.2), so voxels must be
small enough for a cervical body to survive.
"""
SLICE_REPEATS = 2
"""Slices of 3.3 mm are doubled, as nearest-neighbour resampling to the grid would."""
CUTOUT = (80, 96, 32)
"""Window in PIR: a lumbar vertebra and its neighbours with their processes."""
CHANNELS, WIDTH, CLASSES = 10, 8, 4
WINDOWS_PER_SCENE = 4
JITTER = (1.5, 1.2, 1.0)
"""SD of the window centre in voxels; cervical vertebrae follow each other every 10 voxels."""
_MIN_BODY_VOXELS = 40


def build_network() -> nn.Module:
    """Build the network with random weights."""
    return InstanceUNet(channels=CHANNELS, width=WIDTH, classes=CLASSES)


def encoding() -> np.ndarray:
    """Lookup from semantic label to input class (spineps-behaviour 2.2, ``mapping``)."""
    lookup = np.zeros(256, np.uint8)
    lookup[Semantic.ARCUS : Semantic.VERTEBRAL_BODY + 1] = np.arange(1, 10)
    lookup[[Semantic.VERTEBRAL_BODY_INNER, Semantic.DENS]] = 9
    return lookup


class WindowSource(torch.utils.data.IterableDataset):
    """Endless windows: one-hot float32 (10, P, I, R) and classes int64 (P, I, R)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw windows; every data-loading process has its own stream."""
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self._seed, 5, worker.id if worker else 0])
        lookup = encoding()
        in_plane, through = SPACING_MM[:2], SPACING_MM[2] * SLICE_REPEATS
        for scene in scenes(rng, (*in_plane, through)):
            instance = np.where(scene.instance < 100, scene.instance, 0)
            bodies = np.where(scene.semantic == Semantic.VERTEBRAL_BODY, instance, 0)
            counts = np.bincount(bodies.ravel(), minlength=256)
            visible = [v for v in vertebra_labels() if counts[v] >= _MIN_BODY_VOXELS]
            if not visible:
                continue
            codes = lookup[degraded(scene.semantic, bodies, rng)]
            codes, instance, bodies = (
                np.repeat(mask, SLICE_REPEATS, axis=2) for mask in (codes, instance, bodies)
            )
            for label in rng.choice(visible, min(WINDOWS_PER_SCENE, len(visible)), replace=False):
                centre = np.argwhere(bodies == label).mean(axis=0) + rng.normal(0, JITTER)
                start = np.round(centre).astype(int) - np.array(CUTOUT) // 2
                target = neighbours(cut(instance, start), int(label), present(instance))
                onehot = np.eye(CHANNELS, dtype=np.float32)[cut(codes, start)]
                yield (
                    torch.from_numpy(np.moveaxis(onehot, -1, 0).copy()),
                    torch.from_numpy(target),
                )


def present(instance: np.ndarray) -> list[int]:
    """Presacral vertebrae of a mask, from cranial to caudal."""
    counts = np.bincount(instance.ravel(), minlength=256)
    return anatomical_order(v for v in vertebra_labels() if counts[v] and v != SACRUM)


def neighbours(instance: np.ndarray, label: int, order: list[int]) -> np.ndarray:
    """Class map: 2 = `label`, 1 = the vertebra above, 3 = the one below, 0 = the rest."""
    lookup = np.zeros(256, np.int64)
    place = order.index(label)
    for offset, value in ((-1, 1), (0, 2), (1, 3)):
        if 0 <= place + offset < len(order):
            lookup[order[place + offset]] = value
    return lookup[instance]


def cut(array: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The window at `start`, padded with 0 outside `array`."""
    window = np.zeros(CUTOUT, array.dtype)
    low, high = np.maximum(start, 0), np.minimum(start + CUTOUT, array.shape)
    if (high > low).all():
        there = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        window[there] = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return window


def batches(seed: int, batch_size: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of windows, made by `workers` processes beside the training."""
    loader = torch.utils.data.DataLoader(
        WindowSource(seed), batch_size=batch_size, num_workers=workers
    )
    return iter(loader)
