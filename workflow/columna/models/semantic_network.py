"""The phase-1 network: an nnU-Net v2 with its plans (spineps-behaviour 2.3)."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nnunetv2
import numpy as np
import torch
from nnunetv2.preprocessing.normalization.default_normalization_schemes import ImageNormalization
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from columna.errors import ModelError
from columna.models.checkpoint import load_checkpoint
from columna.models.device import choose_compute, choose_device
from columna.models.folder import ModelFolder
from columna.models.fused import fuse
from columna.models.grid import ModelGrid
from columna.models.inference_config import InferenceConfig

_SAFE_MODULES = ("torch.nn.", "dynamic_network_architectures.")
"""Where classes that plans name may come from: importing from anywhere else could run anything."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SemanticModel:
    """A loaded phase-1 model. "Network axes" are the order of axes that nnU-Net works in.

    Parameters
    ----------
    folder
        Where it came from.
    network
        One network for all folds; `networks` puts each fold's weights into it.
    fold_weights
        State dict of each fold, on the CPU.
    configuration
        The plan's configuration.
    transpose
        nnU-Net's ``transpose_forward``: network axes from the reversed axes of the model.
    normalizer
        nnU-Net's intensity normalisation.
    class_labels
        uint8, shape (classes,): semantic label of each output of the network.
    mirror_axes
        Network axes along which mirrored passes are allowed.
    device, compute
        Where the network runs, in which number format.
    """

    folder: ModelFolder
    network: nn.Module
    fold_weights: tuple[Mapping[str, Tensor], ...]
    configuration: ConfigurationManager
    transpose: tuple[int, ...]
    normalizer: ImageNormalization
    class_labels: np.ndarray
    mirror_axes: tuple[int, ...]
    device: torch.device
    compute: torch.dtype

    @property
    def config(self) -> InferenceConfig:
        """Content of ``inference_config.json``."""
        return self.folder.config

    @property
    def grid(self) -> ModelGrid:
        """Grid of the network's input."""
        return self.folder.grid

    @property
    def digest(self) -> str:
        """SHA-256 of the model's files."""
        return self.folder.digest

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels of a tile along the network axes."""
        return tuple(self.configuration.patch_size)

    def networks(self) -> Iterator[nn.Module]:
        """Yield the network once per fold, with the weights of that fold."""
        for weights in self.fold_weights:
            if len(self.fold_weights) > 1:
                self.network.load_state_dict(weights)
            yield self.network


def load_semantic_model(
    folder: Path | ModelFolder, device: str = "auto", compute: str = "auto"
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
    plans, dataset = PlansManager(folder.read_plans()), folder.read_dataset()
    checkpoints = [load_checkpoint(path) for path in folder.fold_checkpoints]
    configuration = _configuration(folder, plans, checkpoints[0])
    classes = _count_classes(folder, plans, configuration, dataset)
    network = _build_network(folder, configuration, classes)
    weights = tuple(_network_weights(checkpoint) for checkpoint in checkpoints)
    for path, state in zip(folder.fold_checkpoints, weights, strict=True):
        _load_weights(network, state, path)
    _load_weights(network, weights[0], folder.fold_checkpoints[0])
    chosen = choose_device(device)
    number_format = choose_compute(compute, chosen)
    return SemanticModel(
        folder=folder,
        network=_place(network, chosen, number_format),
        fold_weights=weights,
        configuration=configuration,
        transpose=tuple(plans.transpose_forward),
        normalizer=_normalizer(folder, plans, configuration),
        class_labels=_class_labels(folder, classes),
        mirror_axes=tuple(checkpoints[0].get("inference_allowed_mirroring_axes") or ()),
        device=chosen,
        compute=number_format,
    )


def _configuration(
    folder: ModelFolder, plans: PlansManager, checkpoint: Mapping[str, Any]
) -> ConfigurationManager:
    """Find the plan's configuration that the checkpoint was trained with."""
    try:
        name = checkpoint["init_args"]["configuration"]
        with warnings.catch_warnings():
            # plans without an architecture block are an expected format, not a finding
            warnings.filterwarnings("ignore", message="Detected old nnU-Net plans format")
            return plans.get_configuration(name)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(f"{folder.path}: plans and checkpoint do not fit: {error}") from error


def _count_classes(
    folder: ModelFolder, plans: PlansManager, configuration: ConfigurationManager, dataset: dict
) -> int:
    """Count the network's outputs, and refuse the kinds of nnU-Net that are not supported."""
    labels = plans.get_label_manager(dataset)
    if labels.has_regions:
        raise ModelError(f"{folder.path}: region-based nnU-Nets are not supported")
    if len(configuration.patch_size) != 3:
        raise ModelError(f"{folder.path}: 2-D nnU-Nets are not supported")
    if determine_num_input_channels(plans, configuration, dataset) != 1:
        raise ModelError(f"{folder.path}: needs a network with one input channel")
    return labels.num_segmentation_heads


def _build_network(
    folder: ModelFolder, configuration: ConfigurationManager, classes: int
) -> nn.Module:
    """Build the network of the plans, after checking that they name nothing but networks."""
    arguments = configuration.network_arch_init_kwargs
    imported = configuration.network_arch_init_kwargs_req_import
    named = [configuration.network_arch_class_name, *(arguments.get(key) for key in imported)]
    for name in named:
        if name is not None and not str(name).startswith(_SAFE_MODULES):
            raise ModelError(f"{folder.path}: plans.json names {name}, which is no network part")
    try:
        return get_network_from_plans(
            configuration.network_arch_class_name,
            arguments,
            imported,
            input_channels=1,
            output_channels=classes,
            allow_init=False,
            deep_supervision=False,
        )
    except (TypeError, ValueError, ImportError, AssertionError, KeyError) as error:
        raise ModelError(f"{folder.path}: plans.json describes no network: {error}") from error


def _network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take the weights from a checkpoint; wrappers for several GPUs prefix their names."""
    return {
        name.removeprefix("module."): tensor
        for name, tensor in checkpoint.get("network_weights", {}).items()
    }


def _load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{path}: does not fit the network of plans.json: {error}") from error


def _place(network: nn.Module, device: torch.device, compute: torch.dtype) -> nn.Module:
    """Move the network to its device; on CPUs in the form that is fastest there."""
    network = network.to(device).eval().requires_grad_(requires_grad=False)
    if device.type != "cpu":
        return network
    network = network.to(memory_format=torch.channels_last_3d)
    return fuse(network) if compute == torch.float32 else network


def _normalizer(
    folder: ModelFolder, plans: PlansManager, configuration: ConfigurationManager
) -> ImageNormalization:
    """Make nnU-Net's normalisation of the first channel."""
    scheme = configuration.normalization_schemes[0]
    package = Path(nnunetv2.__path__[0]) / "preprocessing" / "normalization"
    found = recursive_find_python_class(
        str(package), scheme, "nnunetv2.preprocessing.normalization"
    )
    if found is None:
        raise ModelError(f"{folder.path}: unknown normalisation {scheme}")
    return found(
        use_mask_for_norm=configuration.use_mask_for_norm[0],
        intensityproperties=plans.foreground_intensity_properties_per_channel["0"],
    )


def _class_labels(folder: ModelFolder, classes: int) -> np.ndarray:
    """Make the table from network class to semantic label."""
    labels = folder.config.labels
    unnamed = [number for number in range(1, classes) if number not in labels]
    if unnamed:
        _log.warning("%s: classes %s have no label and become background", folder.name, unnamed)
    unusable = {k: v for k, v in labels.items() if not 0 <= v < 256}
    if unusable:
        raise ModelError(f"{folder.path}: labels outside 0 to 255: {unusable}")
    table = np.array([labels.get(number, 0) for number in range(classes)], np.uint8)
    table[0] = 0
    return table
