"""How close masks come to a truth: structures, vertebrae found once, islands."""

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage

from columna.anatomy import (
    BODY,
    CANAL,
    DISC_OFFSET,
    ENDPLATES,
    POSTERIOR_ELEMENTS,
    SACRUM,
    Semantic,
    semantic_names,
)
from columna.evaluate.phantom_score import dice

STRUCTURES: dict[str, tuple[int, ...]] = {
    "bodies": (*BODY, Semantic.DENS),
    "discs": (Semantic.DISC,),
    "endplates": ENDPLATES,
    "cord": (Semantic.SPINAL_CORD,),
    "canal and cord": CANAL,
    "posterior elements": POSTERIOR_ELEMENTS,
    **{semantic_names()[label]: (label,) for label in POSTERIOR_ELEMENTS},
    "sacrum": (Semantic.SACRUM,),
}
"""Rows of the tables: labels that count as one structure."""
FOUND_DICE = 0.5
TOUCHED = 0.1
"""An instance that covers less than this share of a vertebra leaves it alone."""
NEAR_MM = 5.0
"""A component farther than this from any true voxel is an island."""


def structure_dice(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Dice of the structures that `true` (semantic labels) shows."""
    pairs = {
        name: (np.isin(found, labels), np.isin(true, labels)) for name, labels in STRUCTURES.items()
    }
    return {name: dice(a, b) for name, (a, b) in pairs.items() if b.any()}


@dataclass(frozen=True)
class Match:
    """A true vertebra and the instance that covers most of it.

    Parameters
    ----------
    label
        True label.
    dice
        With that instance; 0 without one.
    found_label
        Label of the instance, 0 without one.
    instances_n
        Instances that cover a good part of the vertebra.
    once
        Found (Dice of at least `FOUND_DICE`) by one instance, which covers no part of another.
    """

    label: int
    dice: float
    found_label: int
    instances_n: int
    once: bool


def match_vertebrae(found: np.ndarray, true: np.ndarray, labels: list[int]) -> list[Match]:
    """Match the vertebrae `labels` of the instance mask `true` with those of `found`."""
    found, true = _vertebrae(found), _vertebrae(true)
    size = int(max(found.max(initial=0), true.max(initial=0))) + 1
    pairs = np.bincount((true.astype(np.int64) * size + found).ravel(), minlength=size**2).reshape(
        size, size
    )
    true_n, found_n = pairs.sum(axis=1), pairs.sum(axis=0)
    overlap = pairs.copy()
    overlap[:, 0] = overlap[0] = 0
    touches = overlap >= np.maximum(TOUCHED * true_n[:, None], 1)
    matches = []
    for label in labels:
        best = int(overlap[label].argmax())
        score = 2 * overlap[label, best] / (true_n[label] + found_n[best])
        is_alone = touches[label].sum() == 1 and touches[:, best].sum() == 1
        matches.append(
            Match(
                label,
                float(score) if best else 0.0,
                best,
                int(touches[label].sum()),
                bool(best and is_alone and score >= FOUND_DICE),
            )
        )
    return matches


def count_vertebrae(instance: np.ndarray) -> int:
    """Presacral vertebrae of an instance mask."""
    return int((np.bincount(_vertebrae(instance).ravel())[1:] > 0).sum())


def islands(found: np.ndarray, true: np.ndarray, spacing_mm: np.ndarray) -> tuple[int, float]:
    """Components of `found` (26-connected, any label) away from the true spine: number, mm3."""
    components, n = cc3d.connected_components(
        found != 0, connectivity=26, binary_image=True, return_N=True
    )
    distance = ndimage.distance_transform_edt(true == 0, spacing_mm)
    near = np.unique(components[(distance <= NEAR_MM) & (components > 0)])
    sizes = np.bincount(components.ravel(), minlength=n + 1)
    away = np.setdiff1d(np.arange(1, n + 1), near)
    return len(away), float(sizes[away].sum() * np.prod(spacing_mm))


def _vertebrae(instance: np.ndarray) -> np.ndarray:
    """Instance mask without sacrum, discs and endplates."""
    return np.where((instance < DISC_OFFSET) & (instance != SACRUM), instance, 0)
