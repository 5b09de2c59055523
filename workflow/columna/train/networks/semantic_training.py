"""Phase 1: an nnU-Net of PlainConvUNet type and its training patches."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from columna.models.architecture import build_network as build_from_plan
from columna.models.plans import Architecture
from columna.train.labels import ALL, ONE_PHASE, Classes
from columna.train.networks.losses import deep_loss
from columna.train.networks.task import TrainingTask, adamw, no_penalty, polynomial
from columna.train.samples.label_sets import LabelSets
from columna.train.samples.maps import LabelMap
from columna.train.samples.patches import make_patch
from columna.train.samples.real_scans import RealScan
from columna.train.samples.scan_patches import scan_patch
from columna.train.samples.stream import Arrays

SPACING_MM = (1.0, 1.0, 2.5)
"""Voxel size of the network's grid in PIR."""
PATCH = (128, 128, 16)
"""Patch size in PIR."""
PER_DRAW = 6
"""Patches that are made of one map or scan at once."""
ODDS = {0: 0.5}
"""Odds of a patch's centre in a real scan by code; 1 where nothing is said."""

FEATURES = {
    # multiples of 16: others take several times as long on CPUs
    ALL: (16, 32, 64, 128, 192),
    # with as many weights (94 %) as both networks of two phases together
    ONE_PHASE: (16, 32, 64, 128, 256),
}
"""Classes -> features of the stages."""
ARCHITECTURE: dict[str, Any] = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 5,
        "features_per_stage": list(FEATURES[ALL]),
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


def architecture(classes: Classes) -> dict[str, Any]:
    """nnU-Net's description of the network."""
    arguments = ARCHITECTURE["arch_kwargs"] | {"features_per_stage": list(FEATURES[classes])}
    return ARCHITECTURE | {"arch_kwargs": arguments}


def build_network(classes: Classes = ALL, *, deep_supervision: bool = True) -> nn.Module:
    """Build the network with random weights."""
    network = build_from_plan(
        Architecture.model_validate(architecture(classes)),
        1,
        classes.count,
        deep_supervision=deep_supervision,
    )
    initialize: Any = network.initialize
    return network.apply(initialize)


def map_patches(label_map: LabelMap, rng: np.random.Generator, classes: Classes = ALL) -> Arrays:
    """Patches of a label map, each deformed, painted and scanned anew; as `scan_patches`."""
    made = [make_patch(label_map, PATCH, SPACING_MM, rng) for _ in range(PER_DRAW)]
    return _stacked([(image, classes.class_of[mask]) for image, mask in made])


def scan_patches(scan: RealScan, rng: np.random.Generator, sets: LabelSets) -> Arrays:
    """Patches of a real scan: float32 (n, 1, R, I, P) and codes uint8 (n, R, I, P)."""
    return _stacked([scan_patch(scan, PATCH, SPACING_MM, sets, ODDS, rng) for _ in range(PER_DRAW)])


def _stacked(samples: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    images, codes = zip(*samples, strict=True)
    return np.stack([image.T[None] for image in images]), np.stack([c.T for c in codes])


def make_task(sets: LabelSets) -> TrainingTask:
    """Phase 1 on masks whose voxels are coded as `sets` says."""
    return TrainingTask(
        name="semantic",
        structures=sets.names(),
        allowed=sets.table(),
        build_network=partial(build_network, sets.classes),
        cut_scan=partial(scan_patches, sets=sets),
        cut_map=partial(map_patches, classes=sets.classes),
        per_draw=PER_DRAW,
        encode=lambda patches: patches,
        loss=partial(deep_loss, allowed=torch.from_numpy(sets.table())),
        penalty=no_penalty,
        optimizer=adamw,
        schedule=polynomial,
        memory_format=torch.contiguous_format,
    )
