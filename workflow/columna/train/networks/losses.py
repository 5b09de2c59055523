"""What a step of training makes smaller."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SMOOTH = 1e-5


def deep_loss(outputs: Tensor | list[Tensor], target: Tensor, allowed: Tensor) -> Tensor:
    """Mean loss over the resolutions of a deeply supervised network, halved at each one.

    Parameters
    ----------
    outputs
        Logits (N, classes, ...), or a list of them, finest first; the three finest count.
    target
        Codes, int64 (N, ...).
    allowed
        Which classes a code allows, bool (codes, classes): `label_sets.LabelSets.table`.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs[:3]
    losses: list[Tensor] = []
    for level, logits in enumerate(outputs):
        scaled = target
        if logits.shape[2:] != target.shape[1:]:
            scaled = nn.functional.interpolate(target[:, None].float(), logits.shape[2:])[
                :, 0
            ].long()
        losses.append(dice_and_entropy(logits, scaled, allowed) * 0.5**level)
    first, *others = losses
    return sum(others, first) / sum(0.5**level for level in range(len(losses)))


def dice_and_entropy(logits: Tensor, target: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean soft Dice of what occurs in the batch.

    Both are marginal: the probability of a voxel's code is the sum over the classes that it
    allows (Shi et al., Marginal loss and exclusion loss for partially supervised multi-organ
    segmentation, Medical Image Analysis 70, 2021). Where every code is one class, this is the
    plain loss; a code that allows every class has neither loss nor gradient.

    Parameters
    ----------
    logits, target, allowed
        As in `deep_loss`, at one resolution.
    """
    log = logits.float().log_softmax(dim=1)
    allowed = allowed.to(target.device)
    present = [int(code) for code in target.unique()]
    entropy, dice = log.new_zeros(()), []
    for code in present:
        members = allowed[code]
        if members.all():
            continue
        own = log[:, members]
        own = own[:, 0] if own.shape[1] == 1 else own.logsumexp(dim=1)
        entropy = entropy - (own * (target == code)).sum()
        if not members[0]:
            dice.append(_marginal_dice(own.exp(), target, allowed, code, present))
    entropy = entropy / target.numel()
    return entropy + 1 - torch.stack(dice).mean() if dice else entropy


def _marginal_dice(
    probability: Tensor, target: Tensor, allowed: Tensor, structure: int, present: list[int]
) -> Tensor:
    """Soft Dice of the code `structure`, over the voxels that surely belong to it or do not.

    A voxel belongs to a structure if all the classes that it may have do, and does not if none
    does; the others count for nothing.
    """
    members = allowed[structure]
    belongs, undecided = torch.zeros_like(target, dtype=torch.bool), []
    for code in present:
        shared = allowed[code] & members
        if torch.equal(shared, allowed[code]):
            belongs |= target == code
        elif shared.any():
            undecided.append(code)
    for code in undecided:
        probability = probability * (target != code)
    return 2 * (probability * belongs).sum() / (probability.sum() + belongs.sum() + SMOOTH)


def sample_dice_and_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus one minus soft Dice, per sample, without background.

    The loss of SPINEPS's phase 2 (docs/method.md#training) with a weight of one.
    """
    logits = logits.float()
    entropy = nn.functional.cross_entropy(logits, target)
    overlap, total, _ = _soft_counts(logits, target, tuple(range(2, logits.ndim)))
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return entropy + 1 - dice[:, 1:].mean()


def sum_of_norms(parameters: Iterable[Tensor]) -> Tensor:
    """Sum of the Euclidean norms of all tensors, the penalty of docs/method.md#training."""
    return torch.stack([p.norm() for p in parameters if p.requires_grad]).sum()


def _soft_counts(
    logits: Tensor, target: Tensor, axes: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Per class: overlap, probability plus truth, truth; summed over `axes`."""
    probability = logits.softmax(dim=1)
    onehot = nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1)
    size = onehot.sum(axes)
    return (probability * onehot).sum(axes), probability.sum(axes) + size, size
