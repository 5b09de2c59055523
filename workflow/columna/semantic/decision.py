"""From logits to a class per voxel, and how sure the network was of it."""

import math

import numpy as np
import torch
from torch import Tensor

from columna.errors import ModelError

DOUBT = 3.0
"""Background is doubtful where a structure is at least exp(-3) = 0.05 times as probable."""
_SLAB_VOXELS = 1 << 21


def decide(logits: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the most probable class of every voxel.

    Works in slabs and takes the softmax only of the foreground and of doubtful background, so that
    no second volume of the size of `logits` is needed.

    Parameters
    ----------
    logits
        float32, shape (classes, a, b, c); class 0 is the background.

    Returns
    -------
    classes
        uint8, shape (a, b, c).
    probability
        float16, shape (a, b, c): softmax of the chosen class. In the background, where a structure
        is at most `DOUBT` less probable (by logarithm), the probability that it is none of it;
        elsewhere 0.
    entropy
        float16, shape (a, b, c): entropy of the softmax as a fraction of its maximum, ln(classes);
        0 in background.

    Raises
    ------
    ModelError
        If logits are not finite.
    """
    shape = tuple(logits.shape[1:])
    classes = np.empty(shape, np.uint8)
    probability, entropy = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    rows = max(_SLAB_VOXELS // max(shape[1] * shape[2], 1), 1)
    for start in range(0, shape[0], rows):
        slab = slice(start, start + rows)
        background = logits[0, slab]
        best, chosen = logits[1:, slab].max(dim=0)
        if not torch.isfinite(best + background).all():
            raise ModelError(
                "the network's answer is not finite; set compute to float32 if it was float16"
            )
        foreground = best > background
        classes[slab] = ((chosen + 1) * foreground).to(torch.uint8).cpu().numpy()
        log_softmax = torch.log_softmax(logits[:, slab][:, foreground], dim=0)
        softmax = log_softmax.exp()
        spread = -(softmax * log_softmax).sum(dim=0) / math.log(len(logits))
        where = foreground.cpu().numpy()
        probability[slab][where] = softmax.amax(dim=0).cpu().numpy()
        entropy[slab][where] = spread.cpu().numpy()
        doubtful = ~foreground & (best > background - DOUBT)
        missed = 1 - torch.softmax(logits[:, slab][:, doubtful], dim=0)[0]
        probability[slab][doubtful.cpu().numpy()] = missed.cpu().numpy()
    return classes, probability, entropy
