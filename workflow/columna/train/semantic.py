"""Phase 1: an nnU-Net of PlainConvUNet type and its training patches."""

import numpy as np
import torch
from torch import nn

from columna.anatomy import Semantic, semantic_names
from columna.models.architecture import build_network as build_from_plan
from columna.models.plans import Architecture
from columna.train.labels import CLASS_OF, LABELS
from columna.train.losses import deep_loss
from columna.train.maps import LabelMap
from columna.train.patches import make_patch
from columna.train.stream import Arrays
from columna.train.subject import Subject
from columna.train.task import Task, adamw, no_penalty, polynomial

SPACING_MM = (1.2, 1.2, 3.3)
"""Voxel size of the network's grid in PIR."""
PATCH = (128, 128, 16)
"""Patch size in PIR."""
PAINTINGS, PATCHES_PER_PAINTING = 2, 3
PER_DRAW = PAINTINGS * PATCHES_PER_PAINTING
RARE = tuple(
    LABELS.index(label) + 1
    for label in (
        Semantic.SACRUM,
        Semantic.COSTAL_PROCESS_LEFT,
        Semantic.COSTAL_PROCESS_RIGHT,
    )
)
"""Classes that patches are centred on more often: few views show them."""

ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 5,
        # multiples of 16: others take several times as long on CPUs
        "features_per_stage": [16, 32, 64, 128, 192],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        # nnU-Net's axes are (R, I, P): slices are thick, so the first stages stay within them
        "kernel_sizes": [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2]],
        "n_conv_per_stage": [2, 2, 2, 2, 2],
        "n_conv_per_stage_decoder": [1, 1, 1, 1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}


def build_network(*, deep_supervision: bool = True) -> nn.Module:
    """Build the network with random weights."""
    network = build_from_plan(
        Architecture.model_validate(ARCHITECTURE),
        1,
        len(LABELS) + 1,
        deep_supervision=deep_supervision,
    )
    return network.apply(network.initialize)


def map_patches(label_map: LabelMap, rng: np.random.Generator) -> Arrays:
    """Patches of a label map, each deformed, painted and scanned anew; as `patches` gives them."""
    made = [make_patch(label_map, PATCH, SPACING_MM, rng) for _ in range(PER_DRAW)]
    images, masks = zip(*made, strict=True)
    return (
        np.stack([image.T[None] for image in images]),
        np.stack([CLASS_OF[mask].T for mask in masks]),
    )


def patches(subject: Subject, rng: np.random.Generator) -> Arrays:
    """Patches of a subject: float32 (n, 1, R, I, P) and classes uint8 (n, R, I, P)."""
    target = CLASS_OF[subject.semantic]
    images, targets = [], []
    for _ in range(PAINTINGS):
        image = normalised(subject.paint(rng), rng)
        for _ in range(PATCHES_PER_PAINTING):
            start = _patch_start(target, rng)
            images.append(_cut(image, start).T[None])
            targets.append(_cut(target, start).T)
    return np.stack(images), np.stack(targets)


def normalised(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Z-score over the field of view, as nnU-Net does, off by a little."""
    mean, sd = float(image.mean()), float(image.std()) + 1e-6
    shift, scale = rng.normal(0, 0.1), np.exp(rng.normal(0, 0.1))
    return ((image - mean) * np.float32(scale / sd) + np.float32(shift)).astype(np.float32)


def _patch_start(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """First voxel of a patch around a voxel of a random class, or anywhere."""
    if rng.random() < 0.85:
        occurring = np.unique(target)
        odds = np.where(np.isin(occurring, RARE), 3.0, 1.0)
        wanted = rng.choice(occurring, p=odds / odds.sum())
        flat = np.flatnonzero(target == wanted)
        centre = np.array(np.unravel_index(flat[rng.integers(len(flat))], target.shape))
        centre = centre + rng.integers(-12, 13, 3) * (1, 1, 0)
    else:
        centre = np.array([rng.integers(n) for n in target.shape])
    room = np.array(target.shape) - PATCH
    return np.where(room > 0, np.clip(centre - np.array(PATCH) // 2, 0, room), room // 2)


def _cut(array: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The patch at `start`, padded with 0 (nnU-Net's padding after normalisation)."""
    patch = np.zeros(PATCH, array.dtype)
    low = np.maximum(start, 0)
    high = np.minimum(start + PATCH, array.shape)
    there = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    patch[there] = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return patch


TASK = Task(
    name="semantic",
    class_names=tuple(semantic_names()[label] for label in LABELS),
    build_network=build_network,
    spacing_mm=SPACING_MM,
    cut=patches,
    cut_map=map_patches,
    per_draw=PER_DRAW,
    encode=lambda patches: patches,
    loss=deep_loss,
    penalty=no_penalty,
    optimizer=adamw,
    schedule=polynomial,
    memory_format=torch.contiguous_format,
)
