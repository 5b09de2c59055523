"""What a step of training makes smaller."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SMOOTH = 1e-5


def deep_loss(outputs: Tensor | list[Tensor], target: Tensor) -> Tensor:
    """Mean loss over the resolutions of a deeply supervised network, halved at each one.

    Parameters
    ----------
    outputs
        Logits (N, classes, ...), or a list of them, finest first; the three finest count.
    target
        Classes, int64 (N, ...).
    """
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
    """Cross-entropy plus one minus the mean soft Dice of the classes that occur in the batch."""
    logits = logits.float()
    entropy = nn.functional.cross_entropy(logits, target)
    axes = (0, *range(2, logits.ndim))
    overlap, total, size = _soft_counts(logits, target, axes)
    dice = 2 * overlap / (total + SMOOTH)
    present = size[1:] > 0
    if not present.any():
        return entropy
    return entropy + 1 - dice[1:][present].mean()


def sample_dice_and_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus one minus soft Dice, per sample, without background.

    The loss of SPINEPS's phase 2 (spineps-behaviour 10.2) with a weight of one.
    """
    logits = logits.float()
    entropy = nn.functional.cross_entropy(logits, target)
    overlap, total, _ = _soft_counts(logits, target, tuple(range(2, logits.ndim)))
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return entropy + 1 - dice[:, 1:].mean()


def sum_of_norms(parameters: Iterable[Tensor]) -> Tensor:
    """Sum of the Euclidean norms of all tensors, the penalty of spineps-behaviour 10.2."""
    return torch.stack([p.norm() for p in parameters if p.requires_grad]).sum()


def _soft_counts(
    logits: Tensor, target: Tensor, axes: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Per class: overlap, probability plus truth, truth; summed over `axes`."""
    probability = logits.softmax(dim=1)
    onehot = nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1)
    size = onehot.sum(axes)
    return (probability * onehot).sum(axes), probability.sum(axes) + size, size
