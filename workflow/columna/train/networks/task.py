"""What tells the two trainings apart."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from columna.train.samples.maps import LabelMap
from columna.train.samples.real_scans import RealScan
from columna.train.samples.stream import Arrays


@dataclass(frozen=True)
class TrainingTask:
    """A network, its samples, and how it is optimised.

    Parameters
    ----------
    name
        semantic or instance.
    structures
        Names of the codes that stand for structures.
    allowed
        Which of the network's classes a code allows: bool, shape (codes, classes).
    build_network
        Builds it with random weights.
    cut_scan
        Makes `per_draw` samples of a scan with masks: inputs and codes; None where it shows
        nothing to learn from.
    cut_map
        The same of a label map, for synthetic samples.
    per_draw
        Samples that are made of one subject.
    encode
        Turns a batch of stored inputs (N, ...) into the network's input (N, channels, ...).
    loss
        Of outputs and codes.
    penalty
        Of the weights; added to the loss.
    optimizer
        Made of parameters and learning rate.
    schedule
        Factor of the learning rate, given the step and the share of the training that is done.
    memory_format
        Layout of the tensors that this network convolves faster in.
    """

    name: str
    structures: Mapping[int, str]
    allowed: np.ndarray
    build_network: Callable[[], nn.Module]
    cut_scan: Callable[[RealScan, np.random.Generator], Arrays | None]
    cut_map: Callable[[LabelMap, np.random.Generator], Arrays | None]
    per_draw: int
    encode: Callable[[Tensor], Tensor]
    loss: Callable[[Any, Tensor], Tensor]
    penalty: Callable[[Iterable[Tensor]], Tensor | float]
    optimizer: Callable[[Iterable[Tensor], float], torch.optim.Optimizer]
    schedule: Callable[[int, float], float]
    memory_format: torch.memory_format = torch.channels_last_3d


def polynomial(step: int, share: float) -> float:
    """Warm up over 30 steps, then fall to zero as nnU-Net does."""
    return min(1.0, (step + 1) / 30) * (1 - share) ** 0.9


def linear(step: int, share: float) -> float:
    """Fall linearly to a hundredth (docs/method.md#training)."""
    return 1 - 0.99 * share


def adamw(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """AdamW with light weight decay."""
    return torch.optim.AdamW(parameters, learning_rate, weight_decay=1e-3)


def adam(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """Plain Adam."""
    return torch.optim.Adam(parameters, learning_rate)


def no_penalty(parameters: Iterable[Tensor]) -> float:
    """Leave the loss as it is."""
    return 0.0
