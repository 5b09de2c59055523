"""Phase 2: the instance network and its windows around bodies (docs/method.md#training)."""

import numpy as np
from torch import Tensor, nn

from columna.anatomy import BODY, DISC_OFFSET, SACRUM, Semantic, anatomical_order, vertebra_labels
from columna.models.instance_network import InstanceUNet
from columna.train.networks.losses import sample_dice_and_entropy, sum_of_norms
from columna.train.networks.task import TrainingTask, adam, linear
from columna.train.samples.bend import bent_masks
from columna.train.samples.degrade import degraded
from columna.train.samples.map_subjects import map_masks
from columna.train.samples.maps import LabelMap
from columna.train.samples.real_scans import RealScan
from columna.train.samples.stream import Arrays
from columna.train.samples.subject import SubjectMasks

SPACING_MM = (1.75, 1.75, 1.65)
"""Voxel size of the network's grid in PIR.

Bodies are eroded before they are counted (`columna.instance.centres`), so voxels must be small
enough for a cervical body to survive.
"""
SLICE_REPEATS = 2
"""Slices of 3.3 mm are doubled, as nearest-neighbour resampling to the grid would."""
SLAB_MM = (*SPACING_MM[:2], SPACING_MM[2] * SLICE_REPEATS)
"""Voxel size of the masks that samples are cut from."""
CUTOUT = (80, 96, 32)
"""Window in PIR: a lumbar vertebra and its neighbours with their processes."""
CHANNELS, WIDTH, CLASSES = 10, 8, 4
WINDOWS = 4
"""Windows per subject."""
PENALTY = 1e-4
"""Weight of the sum of the weights' norms."""
JITTER = (1.5, 1.2, 1.0)
"""SD of the window centre in voxels; cervical vertebrae follow each other every 10 voxels."""
_MIN_BODY_VOXELS = 40


def build_network() -> nn.Module:
    """Build the network with random weights."""
    return InstanceUNet(channels=CHANNELS, width=WIDTH, classes=CLASSES)


CODE_OF = np.zeros(256, np.uint8)
"""Semantic label -> input class (``mapping`` of docs/method.md#the-configuration-of-a-model)."""
CODE_OF[Semantic.ARCUS : Semantic.VERTEBRAL_BODY + 1] = np.arange(1, 10)
CODE_OF[[Semantic.VERTEBRAL_BODY_INNER, Semantic.DENS]] = 9


def windows(subject: SubjectMasks, rng: np.random.Generator) -> Arrays | None:
    """Windows around bodies: input classes and targets, both uint8 (n, P, I, R).

    None where no body is large enough to be the centre of a window.
    """
    instance = np.where(subject.instance < DISC_OFFSET, subject.instance, 0)
    bodies = np.where(np.isin(subject.semantic, BODY), instance, 0)
    counts = np.bincount(bodies.ravel(), minlength=256)
    visible = [v for v in vertebra_labels() if counts[v] >= _MIN_BODY_VOXELS]
    if not visible:
        return None
    codes = CODE_OF[degraded(subject.semantic, bodies, rng)]
    codes, instance, bodies = (
        np.repeat(mask, SLICE_REPEATS, axis=2) for mask in (codes, instance, bodies)
    )
    order = present(instance)
    inputs, targets = [], []
    for label in rng.choice(visible, WINDOWS, replace=len(visible) < WINDOWS):
        centre = np.argwhere(bodies == label).mean(axis=0) + rng.normal(0, JITTER)
        start = np.round(centre).astype(int) - np.array(CUTOUT) // 2
        inputs.append(cut(codes, start))
        targets.append(neighbours(cut(instance, start), int(label), order))
    return np.stack(inputs), np.stack(targets)


def map_windows(label_map: LabelMap, rng: np.random.Generator) -> Arrays | None:
    """Windows of a deformed label map; what they hold is said at `windows`."""
    return windows(map_masks(label_map, SLAB_MM, rng), rng)


def scan_windows(scan: RealScan, rng: np.random.Generator) -> Arrays | None:
    """Windows of a bent real scan; what they hold is said at `windows`."""
    return windows(bent_masks(scan, SLAB_MM, rng), rng)


def encode(codes: Tensor) -> Tensor:
    """Input classes (N, P, I, R) -> one-hot float32 (N, channels, P, I, R)."""
    return nn.functional.one_hot(codes.long(), CHANNELS).movedim(-1, 1).float()


def present(instance: np.ndarray) -> list[int]:
    """Presacral vertebrae of a mask, from cranial to caudal."""
    counts = np.bincount(instance.ravel(), minlength=256)
    return anatomical_order(v for v in vertebra_labels() if counts[v] and v != SACRUM)


def neighbours(instance: np.ndarray, label: int, order: list[int]) -> np.ndarray:
    """Class map: 2 = `label`, 1 = the vertebra above, 3 = the one below, 0 = the rest."""
    lookup = np.zeros(256, np.uint8)
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


TASK = TrainingTask(
    name="instance",
    structures={1: "vertebra above", 2: "vertebra", 3: "vertebra below"},
    allowed=np.eye(CLASSES, dtype=bool),
    build_network=build_network,
    cut_scan=scan_windows,
    cut_map=map_windows,
    per_draw=WINDOWS,
    encode=encode,
    loss=sample_dice_and_entropy,
    penalty=lambda weights: PENALTY * sum_of_norms(weights),
    optimizer=adam,
    schedule=linear,
)
