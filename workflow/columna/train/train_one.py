"""Train one network as a recipe says, with curves and looks at real scans on the way."""

import logging
from functools import partial
from pathlib import Path

import torch
from torch import nn

from columna.errors import ConfigError
from columna.files import sha256_json
from columna.models.device import choose_device
from columna.train.labels import ALL, CLASSES
from columna.train.networks import instance_training, semantic_training
from columna.train.networks.curves import write_curves
from columna.train.networks.held_out import validation_points
from columna.train.networks.loop import CurvePoint, Monitor, TrainSettings, train
from columna.train.networks.model_folders import EXPORTS
from columna.train.networks.start import starting_weights
from columna.train.networks.task import TrainingTask
from columna.train.recipe import TrainConfig
from columna.train.samples.label_sets import label_sets
from columna.train.samples.stream import Stream, held_out
from columna.train.sources import Inputs, training_source, validation_source

STATE = "state.pt"

SAMPLE_KEYS = {"seed", "synthetic", "maps", "left_out_maps", "datasets", "folds", "fold"}
"""Keys of the recipe that the samples depend on."""

_log = logging.getLogger(__name__)


def train_phase(
    name: str,
    config: TrainConfig,
    folder: Path,
    inputs: Inputs,
    minutes: float | None = None,
) -> Path:
    """Train a network, or continue to, and write its model folder.

    Parameters
    ----------
    name
        semantic or instance.
    config
        The recipe.
    folder
        Gets ``state.pt`` (to continue from), ``curves.parquet``, ``curves.png``, ``looks/`` and
        ``model/``.
    inputs
        What was made for the training before.
    minutes
        Stop after this wall time; the learning rate falls over it. Such a training cannot be
        repeated exactly.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    ConfigError
        If phase 2 is asked for by a recipe of one phase.
    """
    if name == "instance" and config.semantic.classes != ALL.name:
        raise ConfigError(
            f"the recipe has semantic.classes: {config.semantic.classes}; such a network needs no "
            "phase 2, and its datasets could not train one"
        )
    task, phase = make_task(name, config), config.phase(name)
    device = choose_device(config.device)
    compute = choose_training_format(config.compute, device)
    settings = TrainSettings(
        state=folder / STATE,
        steps=phase.steps,
        minutes=minutes,
        learning_rate=phase.learning_rate,
        compute=compute,
        recipe=recipe_digest(name, config),
        start=starting_weights(name, phase.start) if phase.start else {},
    )
    stream = Stream(
        training_source(task, config, inputs),
        task.per_draw,
        config.seed,
        phase.batch_size,
        phase.mixed,
        config.workers,
    )
    seen = list(
        held_out(validation_source(task, config, inputs), config.seed, phase.validation_scenes)
    )
    monitors = [
        Monitor(
            phase.validate_every,
            lambda _step, network: validation_points(network, task, seen, device, compute),
        ),
        *_looks(task, config, folder),
    ]
    tell = partial(write_curves, folder=folder)
    network = train(task, stream, settings, device, monitors, tell)
    EXPORTS[name](network, folder / "model", CLASSES[config.semantic.classes])
    return folder / "model"


def make_task(name: str, config: TrainConfig) -> TrainingTask:
    """Make the task of a phase; phase 1 knows the labels of the recipe's datasets."""
    return (
        instance_training.TASK
        if name == "instance"
        else semantic_training.make_task(
            label_sets(config.datasets, CLASSES[config.semantic.classes])
        )
    )


def recipe_digest(name: str, config: TrainConfig) -> str:
    """Digest of what samples and steps depend on; a state of another one is not continued.

    The number of steps is not part of it: a training may be prolonged.
    """
    phase, classes = config.phase(name), config.semantic.classes
    return sha256_json(
        config.model_dump(mode="json", include=SAMPLE_KEYS)
        | phase.model_dump(mode="json", include={"batch_size", "learning_rate", "mixed", "start"})
        | {"phase": name}
        # states of before there was a choice have no such key
        | ({} if classes == ALL.name else {"classes": classes})
    )


def choose_training_format(compute: str, device: torch.device) -> torch.dtype:
    """Number format called `compute`; auto is bfloat16 where hardware multiplies it."""
    if compute != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[compute]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def _looks(task: TrainingTask, config: TrainConfig, folder: Path) -> list[Monitor]:
    """The early look on real scans, where the recipe names any and the machine can take it."""
    if config.looks.sheet is None:
        return []
    try:
        from columna.train.looks import Looks
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        _log.warning("no looks at real scans: %s is not installed on this machine", package)
        return []
    looks = Looks(task.name, config, folder / "looks")

    def look(step: int, network: nn.Module) -> list[CurvePoint]:
        return looks.take(step, network)

    return [Monitor(config.looks.every, look)]
