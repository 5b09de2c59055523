"""One training loop for both networks: resumable at any kill, repeatable, with averaged weights."""

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from columna.errors import ColumnaError, ModelError
from columna.files import atomic_path
from columna.models.checkpoint import load_checkpoint
from columna.models.device import laid_out
from columna.models.weights import fitting_weights
from columna.train.networks.task import TrainingTask
from columna.train.samples.stream import Stream

REPORT_EVERY = 20
"""Steps whose mean loss makes one point of the history."""
LARGEST_GRADIENT = 3.0

_log = logging.getLogger(__name__)

CurvePoint = tuple[str, str, float]
"""Split (train, validation or look), measure, value."""


@dataclass(frozen=True)
class Monitor:
    """Something to look at every so many steps, and at the end.

    Parameters
    ----------
    every
        Steps between two looks.
    run
        Gets the step and the averaged network; gives points for the history.
    """

    every: int
    run: Callable[[int, nn.Module], Sequence[CurvePoint]]


@dataclass(frozen=True)
class TrainSettings:
    """How long and how to train.

    Parameters
    ----------
    state
        File that training resumes from.
    steps
        Length of the training; the learning rate falls over it.
    minutes
        Length in wall time instead, whichever is over first. Such a training cannot be repeated
        exactly, since the learning rate depends on the clock.
    learning_rate
        Highest learning rate.
    compute
        Number format of the forward pass.
    recipe
        Names what a state was trained with; another one refuses it. Empty: any.
    save_seconds
        Time between two writes of `state`.
    start
        Weights that a new training begins with; none: random ones.
    """

    state: Path
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 1e-3
    compute: torch.dtype = torch.float32
    recipe: str = ""
    save_seconds: float = 120.0
    start: Mapping[str, Tensor] = field(default_factory=dict)

    def share(self, step: int, seconds: float) -> float:
        """Share of the training that is done, 0 to 1 and beyond."""
        shares = (
            step / self.steps if self.steps else 0.0,
            seconds / (60 * self.minutes) if self.minutes else 0.0,
        )
        return max(shares)


class Averaged:
    """Exponential moving average of a network's weights: the ones that are shipped."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval()

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the present weights; quickly in the beginning."""
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            pairs = zip(self.network.parameters(), network.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current.to(average), 1 - decay)


@dataclass
class TrainingProgress:
    """Steps and seconds done, and the points of the curves so far."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def note(self, points: Sequence[CurvePoint]) -> None:
        """Add `points` to the history."""
        for split, measure, value in points:
            self.history.append(
                {
                    "step": self.step,
                    "seconds": round(self.seconds, 1),
                    "split": split,
                    "measure": measure,
                    "value": float(value),
                }
            )


class Training:
    """A network on its way, everything that resuming needs, and the file that holds it."""

    def __init__(self, task: TrainingTask, settings: TrainSettings, device: torch.device) -> None:
        self._task, self._settings, self._device = task, settings, device
        network = task.build_network()
        if settings.start:
            load_weights(network, settings.start)
        self.network = laid_out(network.to(device), task.memory_format).train()
        self.averaged = Averaged(self.network)
        self._optimizer = task.optimizer(self.network.parameters(), settings.learning_rate)
        self._parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "network": self.network,
            "averaged": self.averaged.network,
            "optimizer": self._optimizer,
        }
        self.progress = TrainingProgress()

    def step(self, inputs: Tensor, target: Tensor, share: float) -> float:
        """One step of the optimizer; the loss before it."""
        task, settings = self._task, self._settings
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * task.schedule(self.progress.step, share)
        given = task.encode(inputs.to(self._device))
        with autocast(self._device, settings.compute):
            outputs = self.network(given.contiguous(memory_format=task.memory_format))
        loss = task.loss(outputs, target.to(self._device).long())
        self._optimizer.zero_grad(set_to_none=True)
        (loss + task.penalty(self.network.parameters())).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self._optimizer.step()
        self.averaged.update(self.network, self.progress.step)
        self.progress.step += 1
        return float(loss.detach())

    def save(self) -> None:
        """Write the state: it is complete, or the one before stays."""
        content: dict[str, Any] = {key: part.state_dict() for key, part in self._parts.items()}
        content |= vars(self.progress) | {"recipe": self._settings.recipe}
        with atomic_path(self._settings.state) as temporary:
            torch.save(content, temporary)

    def resume(self) -> None:
        """Continue where the state file ended, if there is one.

        Raises
        ------
        ColumnaError
            If the state is of another recipe or network.
        """
        path = self._settings.state
        if not path.exists():
            return
        content = load_checkpoint(path)
        recipes = {content.get("recipe", ""), self._settings.recipe} - {""}
        if len(recipes) > 1:
            raise ColumnaError(
                f"{path}: was trained with another recipe; remove it to start anew, or go back to "
                "the recipe of before to continue"
            )
        try:
            for key, part in self._parts.items():
                part.load_state_dict(content[key])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ColumnaError(f"{path}: does not fit this network: {error}") from error
        self.progress = TrainingProgress(
            content["step"], content["seconds"], content.get("history", [])
        )


def train(
    task: TrainingTask,
    stream: Stream,
    settings: TrainSettings,
    device: torch.device,
    monitors: Sequence[Monitor] = (),
    tell: Callable[[list[dict[str, Any]]], None] = lambda history: None,
) -> nn.Module:
    """Train the network of `task`, or continue to.

    Parameters
    ----------
    task, stream, settings
        What, on which samples, how.
    device
        Where.
    monitors
        Asked for points every so many steps and at the end.
    tell
        Gets the whole history whenever monitors have added to it.

    Returns
    -------
    nn.Module
        The averaged network, in evaluation mode.
    """
    torch.manual_seed(stream.seed)
    training = Training(task, settings, device)
    training.resume()
    progress = training.progress
    _log.info("%s on %s in %s, from step %d", task.name, device, settings.compute, progress.step)
    if settings.share(progress.step, progress.seconds) < 1:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            _run(training, stream, settings, monitors, tell)
    return training.averaged.network.eval()


def _run(
    training: Training,
    stream: Stream,
    settings: TrainSettings,
    monitors: Sequence[Monitor],
    tell: Callable[[list[dict[str, Any]]], None],
) -> None:
    progress = training.progress
    start, saved, losses = time.monotonic() - progress.seconds, time.monotonic(), []
    first = progress.step  # whoever saved this step has also looked at it
    batches = stream.batches(progress.step)
    while True:
        progress.seconds = time.monotonic() - start
        share = settings.share(progress.step, progress.seconds)
        is_over = share >= 1
        if progress.step > first:
            _look(training, monitors, is_over, tell)
        if is_over or time.monotonic() - saved > settings.save_seconds:
            training.save()
            saved = time.monotonic()
        if is_over:
            return
        losses.append(training.step(*next(batches), share))
        if progress.step % REPORT_EVERY == 0:
            mean = sum(losses) / len(losses)
            losses.clear()
            progress.note([("train", "loss", mean)])
            _log.info("step %d  %.0f s  loss %.3f", progress.step, progress.seconds, mean)


def _look(
    training: Training,
    monitors: Sequence[Monitor],
    is_over: bool,
    tell: Callable[[list[dict[str, Any]]], None],
) -> None:
    """Ask the monitors whose turn it is."""
    progress = training.progress
    due = [m for m in monitors if is_over or progress.step % m.every == 0]
    for monitor in due:
        progress.note(monitor.run(progress.step, training.averaged.network))
    if due:
        tell(progress.history)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network the weights of another one.

    Raises
    ------
    ColumnaError
        If they are of another architecture, or not finite.
    """
    try:
        network.load_state_dict(fitting_weights(network, weights))
    except ModelError as error:
        raise ColumnaError(f"the weights to start from do not fit this network: {error}") from error


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Run the enclosed operations in `dtype` where that is safe."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
