"""One training loop for both networks: timed, resumable, with averaged weights."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from columna.files import atomic_path

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TrainSettings:
    """How long and how to train.

    Parameters
    ----------
    minutes
        Wall time of the whole training; the learning rate falls to zero over it.
    state
        File that training resumes from.
    seed
        Seed of weights and samples.
    learning_rate
        Highest learning rate of AdamW.
    max_steps
        Stop earlier after this many steps.
    save_seconds
        Time between two writes of `state`.
    """

    minutes: float
    state: Path
    seed: int = 0
    learning_rate: float = 1e-3
    max_steps: int | None = None
    save_seconds: float = 120.0


class Averaged:
    """Exponential moving average of a network's weights: the ones that are shipped."""

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval()

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network`; early on faster, so that the random start is forgotten."""
        decay = min(0.99, (1 + step) / (10 + step))
        pairs = zip(self.network.parameters(), network.parameters(), strict=True)
        for average, current in pairs:
            average.lerp_(current.to(average), 1 - decay)


def train(
    network: nn.Module, batches: Iterator[Batch], settings: TrainSettings, device: torch.device
) -> nn.Module:
    """Train `network` on `batches` of inputs (N, C, ...) and class maps (N, ...).

    Returns
    -------
    nn.Module
        The averaged network, in evaluation mode.
    """
    network = network.to(device, memory_format=torch.channels_last_3d).train()
    averaged = Averaged(network)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=1e-3)
    progress = _Progress(settings, network, averaged, optimizer)
    progress.resume()
    for inputs, target in batches:
        share = progress.share()
        if share >= 1:
            break
        warm = min(1.0, (progress.step + 1) / 30)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm * (1 - share) ** 0.9
        inputs = inputs.to(device, memory_format=torch.channels_last_3d)
        outputs = network(inputs)
        loss = deep_loss(outputs, target.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        optimizer.step()
        averaged.update(network, progress.step)
        progress.advance(float(loss.detach()))
    progress.save()
    return averaged.network


def deep_loss(outputs: Tensor | list[Tensor], target: Tensor) -> Tensor:
    """Mean loss over the resolutions of a deeply supervised network, halved at each one."""
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs[:3]
    total, weights = 0.0, 0.0
    for level, logits in enumerate(outputs):
        scaled = target
        if logits.shape[2:] != target.shape[1:]:
            scaled = nn.functional.interpolate(target[:, None].float(), logits.shape[2:])[
                :, 0
            ].long()
        total = total + dice_and_entropy(logits, scaled) * 0.5**level
        weights += 0.5**level
    return total / weights


def dice_and_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean soft Dice of the classes that occur."""
    entropy = nn.functional.cross_entropy(logits, target)
    classes = logits.shape[1]
    probability = logits.softmax(dim=1)
    onehot = nn.functional.one_hot(target, classes).movedim(-1, 1)
    axes = (0, *range(2, logits.ndim))
    overlap = (probability * onehot).sum(axes)
    size = onehot.sum(axes)
    dice = 2 * overlap / (probability.sum(axes) + size + 1e-5)
    present = size[1:] > 0
    if not present.any():
        return entropy
    return entropy + 1 - dice[1:][present].mean()


class _Progress:
    """Steps and seconds done, and the file that remembers them."""

    def __init__(
        self,
        settings: TrainSettings,
        network: nn.Module,
        averaged: Averaged,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._settings = settings
        self._parts = {"network": network, "averaged": averaged.network, "optimizer": optimizer}
        self._before, self._start = 0.0, time.monotonic()
        self._saved, self._losses = time.monotonic(), []
        self.step = 0

    def share(self) -> float:
        """Share of the training that is done, 0 to 1."""
        steps = self.step / self._settings.max_steps if self._settings.max_steps else 0.0
        return max(steps, self._seconds() / (60 * self._settings.minutes))

    def advance(self, loss: float) -> None:
        """Count a step; report and save from time to time."""
        self.step += 1
        self._losses.append(loss)
        if self.step % 20 == 0:
            mean = sum(self._losses) / len(self._losses)
            self._losses.clear()
            print(f"step {self.step}  {self._seconds():.0f} s  loss {mean:.3f}", flush=True)  # noqa: T201
        if time.monotonic() - self._saved > self._settings.save_seconds:
            self.save()

    def save(self) -> None:
        """Write everything that resuming needs."""
        content = {key: part.state_dict() for key, part in self._parts.items()}
        content |= {"step": self.step, "seconds": self._seconds()}
        with atomic_path(self._settings.state) as temporary:
            torch.save(content, temporary)
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Continue where the state file ended, if there is one."""
        if not self._settings.state.exists():
            return
        content = torch.load(self._settings.state, map_location="cpu", weights_only=True)
        for key, part in self._parts.items():
            part.load_state_dict(content[key])
        self.step, self._before = content["step"], content["seconds"]

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._start
