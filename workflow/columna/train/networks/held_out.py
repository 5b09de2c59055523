"""Dice of a network on held-out samples while it is trained."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from columna.train.networks.loop import CurvePoint, autocast
from columna.train.networks.task import TrainingTask
from columna.train.samples.stream import Arrays


def validation_points(
    network: nn.Module,
    task: TrainingTask,
    subjects: Iterable[Arrays],
    device: torch.device,
    compute: torch.dtype,
) -> list[CurvePoint]:
    """Dice of every structure over all voxels of `subjects`, and their mean.

    Structures that occur neither in the truth nor in the answers have none. Voxels that may
    belong to a structure or not, by the classes that their code allows, do not count for it.
    """
    codes, classes = task.allowed.shape
    counts = np.zeros((codes, classes), np.int64)
    for inputs, targets in subjects:
        for stored, target in zip(inputs, targets, strict=True):
            found = _answer(network, task, stored, device, compute)
            pairs = target.astype(np.int64) * classes + found
            counts += np.bincount(pairs.ravel(), minlength=counts.size).reshape(counts.shape)
    scores = {
        name: score
        for code, name in task.structures.items()
        if (score := _dice(counts, task.allowed, code)) is not None
    }
    mean = float(np.mean(list(scores.values()))) if scores else 0.0
    return [("validation", name, value) for name, value in (scores | {"mean": mean}).items()]


def _dice(counts: np.ndarray, allowed: np.ndarray, structure: int) -> float | None:
    """Dice of a code, from voxels counted by code and class."""
    members = allowed[structure]
    within = (allowed <= members).all(axis=1)
    decided = within | ~(allowed & members).any(axis=1)
    found, true = counts[decided][:, members].sum(), counts[within].sum()
    if not found + true:
        return None
    return float(2 * counts[within][:, members].sum() / (found + true))


def _answer(
    network: nn.Module,
    task: TrainingTask,
    stored: np.ndarray,
    device: torch.device,
    compute: torch.dtype,
) -> np.ndarray:
    """Class of every voxel of one sample."""
    given = task.encode(torch.from_numpy(stored)[None].to(device))
    with torch.inference_mode(), autocast(device, compute):
        outputs = network(given)
    finest = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
    return finest.argmax(dim=1)[0].cpu().numpy()
