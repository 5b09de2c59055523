"""Look at a window around every centre with the network.

Windows are never cropped to their content: the network normalises over groups of whole feature
maps, so its answer depends on the size of the window it was trained with.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from columna.errors import ModelError
from columna.images.triple import three
from columna.instance.centres import INFERIOR
from columna.instance.window_parts import Part
from columna.models.device import inference

if TYPE_CHECKING:
    from columna.models.instance_network import InstanceModel

NUDGE = 5
"""Voxels that a centre on background moves down at a time, until it meets foreground."""
CLASSES = 3
"""The vertebra at the centre and its two neighbours; which is which does not matter."""


def predict_parts(
    semantic: np.ndarray, centres: np.ndarray, model: "InstanceModel", batch_size: int
) -> list[Part]:
    """Segment three vertebrae in the window of every centre (docs/method.md#windows).

    Parameters
    ----------
    semantic
        Semantic mask (P, I, R) in the voxel size of the model.
    centres
        Centres of bodies in voxels, shape (n, 3).
    model
        Network, configuration (`cutout_size`, `mapping`), device and number format.
    batch_size
        Windows per forward pass.

    Returns
    -------
    list of Part
        In the order of `centres`; up to three per window.
    """
    encoded = encode(semantic, model.config.mapping)
    size = model.config.cutout_size
    starts = [window_start(encoded, centre, size) for centre in centres]
    parts: list[Part] = []
    for first in range(0, len(starts), batch_size):
        batch = starts[first : first + batch_size]
        answers = classify(np.stack([cut(encoded, start, size) for start in batch]), model)
        for window, (answer, start) in enumerate(zip(answers, batch, strict=True), first):
            parts += _parts(window, answer, start, encoded.shape)
    return parts


def encode(semantic: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Translate semantic labels to the network's codes; labels not in `mapping` become 0."""
    codes = np.zeros(max(256, int(semantic.max(initial=0)) + 1), np.uint8)
    for label, code in mapping.items():
        codes[label] = code
    return codes[semantic]


def window_start(encoded: np.ndarray, centre: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Index of the first voxel of the window around `centre`; it may lie outside the array."""
    centre = np.asarray(centre).astype(int)
    nudged = centre.copy()
    while nudged[INFERIOR] < encoded.shape[INFERIOR]:
        if encoded[tuple(nudged)]:
            return nudged - np.asarray(size) // 2
        nudged[INFERIOR] += NUDGE
    return centre - np.asarray(size) // 2


def cut(array: np.ndarray, start: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Cut a window of `size` at `start`; zero outside `array`."""
    window = np.zeros(size, array.dtype)
    first, last = np.maximum(start, 0), np.minimum(start + size, array.shape)
    if (first < last).all():
        inside = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
        window[inside] = array[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return window


def classify(windows: np.ndarray, model: "InstanceModel") -> np.ndarray:
    """Run the network on (N, P, I, R) codes; the winning class of every voxel, uint8."""
    codes = torch.from_numpy(windows).to(model.device)
    with inference(model.device, model.compute):
        return _winners(model.logits(codes)).cpu().numpy()


def _winners(logits: torch.Tensor) -> torch.Tensor:
    """The class of the largest logit, uint8; ModelError if one is not finite."""
    if not torch.isfinite(logits.amax(dim=1)).all():
        raise ModelError(
            "the instance network's answer is not finite; set compute to float32 if it was float16"
        )
    return logits.argmax(dim=1).to(torch.uint8)


def _parts(window: int, answer: np.ndarray, start: np.ndarray, shape: Sequence[int]) -> list[Part]:
    """Keep the classes of one answer as boxed masks, without what lies outside the crop."""
    first = np.maximum(-start, 0)
    last = np.minimum(answer.shape, shape - start)
    if (first >= last).any():
        return []
    inside = answer[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    origin = start + first
    parts = []
    for label, found in enumerate(ndimage.find_objects(inside, CLASSES), 1):
        if found is None:
            continue
        mask = inside[found] == label
        box = three(slice(s.start + o, s.stop + o) for s, o in zip(found, origin, strict=True))
        parts.append(Part(window, box, mask, int(np.count_nonzero(mask))))
    return parts
