"""Weights to begin a training with: those of a model that exists."""

import torch
from torch import Tensor

from columna.errors import ModelError
from columna.models.checkpoint import load_checkpoint
from columna.models.folder import ModelFolder
from columna.models.registry import check_recorded, find_model
from columna.models.weights import plain_weights


def starting_weights(phase: str, model: str) -> dict[str, Tensor]:
    """Weights of a model, under the names that its network gives them.

    Parameters
    ----------
    phase
        semantic or instance.
    model
        Id or folder of the model; of several folds the first one counts.

    Raises
    ------
    ModelError
        If the model is of the other phase, or not to be had.
    """
    folder = ModelFolder.read(find_model(model))
    if folder.role != phase:
        raise ModelError(f"{folder.path}: is a {folder.role} model; {phase} cannot start from it")
    path = folder.fold_checkpoints[0] if phase == "semantic" else folder.instance_checkpoint
    content = load_checkpoint(path)
    check_recorded(folder)
    try:
        state = plain_weights(content.get("network_weights", content.get("state_dict")))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return {name: tensor.to(torch.float32) for name, tensor in state.items()}
