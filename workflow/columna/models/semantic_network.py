"""The phase-1 network: an nnU-Net v2 with its plans (docs/method.md#the-nnu-net-folder)."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes
from torch import Tensor, nn

from columna.errors import ModelError
from columna.models.architecture import build_network
from columna.models.checkpoint import load_checkpoint, trained_configuration
from columna.models.content import shown
from columna.models.device import choose_compute, choose_device, laid_out
from columna.models.folder import ModelFolder
from columna.models.loaded import LoadedModel
from columna.models.openvino import CompiledNetwork, suits
from columna.models.plans import MAX_STAGE_VALUES, Plan
from columna.models.registry import check_recorded
from columna.models.weights import fitting_weights, plain_weights

NORMALIZERS: dict[str, type[schemes.ImageNormalization]] = {
    scheme.__name__: scheme
    for scheme in (
        schemes.ZScoreNormalization,
        schemes.CTNormalization,
        schemes.NoNormalization,
        schemes.RescaleTo01Normalization,
    )
}
"""Intensity normalisations that plans may name."""

_TILES = {"cuda": 2}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SemanticModel(LoadedModel):
    """A loaded phase-1 model. "Network axes" are the order of axes that nnU-Net works in.

    Parameters
    ----------
    network
        One network for all folds; `networks` puts each fold's weights into it.
    fold_weights
        State dict of each fold, on the CPU.
    plan
        The plan's configuration.
    normalizer
        nnU-Net's intensity normalisation.
    class_labels
        uint8, shape (classes,): semantic label of each output of the network.
    mirror_axes
        Network axes along which mirrored passes are allowed.
    """

    network: nn.Module
    fold_weights: tuple[Mapping[str, Tensor], ...]
    plan: Plan
    normalizer: schemes.ImageNormalization
    class_labels: np.ndarray
    mirror_axes: tuple[int, ...]

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels of a tile along the network axes."""
        return self.plan.patch_size

    @property
    def transpose(self) -> tuple[int, int, int]:
        """nnU-Net's ``transpose_forward``: network axes from the reversed axes of the model."""
        return self.plan.transpose_forward

    @property
    def tiles_at_once(self) -> int:
        """Tiles of a pass that suit the device."""
        return self._compiled[0].at_once if self._is_compiled else _TILES.get(self.device.type, 1)

    def networks(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield the network once per fold, with the weights of that fold."""
        if self._is_compiled:
            yield from self._compiled
            return
        for weights in self.fold_weights:
            if len(self.fold_weights) > 1:
                self.network.load_state_dict(weights)
            yield self.network

    @property
    def _is_compiled(self) -> bool:
        return self.may_compile and suits(self.device, self.compute)

    @cached_property
    def _compiled(self) -> list[CompiledNetwork]:
        """The network with the weights of each fold, compiled for tiles."""
        tile, threads = torch.zeros((1, 1, *self.patch_size)), torch.get_num_threads()
        width = self.plan.architecture.arch_kwargs.features_per_stage[0]
        found = []
        for weights in self.fold_weights:
            self.network.load_state_dict(weights)
            found.append(CompiledNetwork(self.network, tile, self.compute, threads, width))
        return found


def load_semantic_model(
    folder: Path | ModelFolder,
    device: str = "auto",
    compute: str = "auto",
    *,
    may_compile: bool = True,
) -> SemanticModel:
    """Load a phase-1 model.

    Parameters
    ----------
    folder
        Model folder, or its path.
    device
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
    compute
        Number format: auto, float32, bfloat16 or float16 (see `models.device`).
    may_compile
        As in `LoadedModel`.

    Raises
    ------
    ModelError
        If files are missing, unsafe, or do not fit together.
    """
    folder = folder if isinstance(folder, ModelFolder) else ModelFolder.read(folder)
    if folder.role != "semantic" or folder.config.modeltype != "nnunet":
        raise ModelError(f"{folder.path}: not a semantic nnU-Net model")
    if folder.config.expected_inputs != ("img",):
        raise ModelError(f"{folder.path}: models with inputs beside the image are not supported")
    check_recorded(folder)
    paths = folder.fold_checkpoints
    checkpoints = [load_checkpoint(path) for path in paths]
    plan = folder.read_plan(trained_configuration(checkpoints[0], paths[0]))
    classes = folder.count_classes()
    network = _build_network(folder, plan, classes)
    weights = tuple(
        _fold_weights(network, checkpoint, path)
        for checkpoint, path in zip(checkpoints, paths, strict=True)
    )
    folder.check_unchanged()
    network.to_empty(device="cpu").load_state_dict(weights[0])
    chosen = choose_device(device)
    number_format = choose_compute(compute, chosen)
    return SemanticModel(
        folder=folder,
        network=_place(network, chosen, number_format),
        fold_weights=weights,
        plan=plan,
        normalizer=_normalizer(folder, plan),
        class_labels=_class_labels(folder, classes),
        mirror_axes=_mirror_axes(checkpoints[0], paths[0]),
        device=chosen,
        compute=number_format,
        may_compile=may_compile,
    )


def _mirror_axes(checkpoint: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    axes = checkpoint.get("inference_allowed_mirroring_axes") or ()
    if not isinstance(axes, list | tuple) or not set(map(shown, axes)) <= {"0", "1", "2"}:
        raise ModelError(f"{path}: inference_allowed_mirroring_axes are no axes of an image")
    return tuple(axes)


def _build_network(folder: ModelFolder, plan: Plan, classes: int) -> nn.Module:
    """Build the network of the plan without memory for its weights."""
    if classes * math.prod(plan.patch_size) > MAX_STAGE_VALUES:
        raise ModelError(f"{folder.path}: {classes} classes are too many for the plan's patch_size")
    try:
        with torch.device("meta"):
            return build_network(plan.architecture, channels=1, classes=classes)
    except ModelError as error:
        raise ModelError(f"{folder.path}: plans.json describes no network: {error}") from error


def _fold_weights(
    network: nn.Module, checkpoint: Mapping[str, Any], path: Path
) -> dict[str, Tensor]:
    try:
        return fitting_weights(network, plain_weights(checkpoint.get("network_weights")))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _place(network: nn.Module, device: torch.device, compute: torch.dtype) -> nn.Module:
    """Move the network to its device; on CPUs in the form that is fastest there."""
    network = network.to(device).eval().requires_grad_(requires_grad=False)
    is_by_torch = device.type == "cpu" and not suits(device, compute)
    return laid_out(network, torch.channels_last_3d) if is_by_torch else network


def _normalizer(folder: ModelFolder, plan: Plan) -> schemes.ImageNormalization:
    """Make nnU-Net's normalisation of the first channel."""
    scheme = plan.normalization_schemes[0]
    if scheme not in NORMALIZERS:
        raise ModelError(f"{folder.path}: unknown normalisation {shown(scheme)}")
    if plan.intensities is None and NORMALIZERS[scheme] is schemes.CTNormalization:
        raise ModelError(f"{folder.path}: plans.json lacks the intensities that {scheme} needs")
    return NORMALIZERS[scheme](
        use_mask_for_norm=plan.use_mask_for_norm[0],
        intensityproperties=plan.intensities.model_dump() if plan.intensities else {},
    )


def _class_labels(folder: ModelFolder, classes: int) -> np.ndarray:
    """Make the table from network class to semantic label."""
    labels = folder.config.labels
    unnamed = [number for number in range(1, classes) if number not in labels]
    if unnamed:
        _log.warning("%s: classes %s have no label and become background", folder.name, unnamed)
    surplus = sorted(set(labels) - set(range(classes)))
    if surplus:
        _log.warning("%s: the network has no classes %s, which have labels", folder.name, surplus)
    unusable = {k: v for k, v in labels.items() if not 0 <= v < 256}
    if unusable:
        raise ModelError(f"{folder.path}: labels outside 0 to 255: {shown(unusable)}")
    table = np.array([labels.get(number, 0) for number in range(classes)], np.uint8)
    table[0] = 0
    return table
