"""Vertebrae found once and only once, and islands, against a truth that is known everywhere."""

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from columna.evaluate.conventions import Mask, columna_convention, structure_labels
from columna.evaluate.overlap import dice, overlap

FOUND_DICE = 0.5
TOUCHED = 0.1
"""An instance that covers less than this share of a vertebra leaves it alone."""
NEAR_MM = 5.0
"""A component farther than this from any true voxel is an island."""


def structure_dice(found: Mask, true: Mask) -> dict[str, float]:
    """Dice of the structures that `true` (semantic labels) shows."""
    pairs = {
        name: (np.isin(found, labels), np.isin(true, labels))
        for name, labels in structure_labels().items()
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


def match_vertebrae(found: Mask, true: Mask, labels: list[int]) -> list[Match]:
    """Match the vertebrae `labels` of the instance mask `true` with those of `found`."""
    counts = overlap(_vertebrae(true), _vertebrae(found))
    touches = counts.common >= np.maximum(TOUCHED * counts.reference_n[:, None], 1)
    matches = []
    for label in labels:
        row = counts.references.index(label)
        if not counts.common[row].any():
            matches.append(Match(label, 0.0, 0, 0, once=False))
            continue
        best = int(counts.common[row].argmax())
        score = float(counts.dice[row, best])
        is_alone = touches[row].sum() == 1 and touches[:, best].sum() == 1
        matches.append(
            Match(
                label,
                score,
                counts.predictions[best],
                int(touches[row].sum()),
                once=bool(is_alone and score >= FOUND_DICE),
            )
        )
    return matches


def count_vertebrae(instance: Mask) -> int:
    """Presacral vertebrae of an instance mask."""
    return len(np.setdiff1d(np.unique(_vertebrae(instance)), [0]))


def islands(
    found: Mask, true: Mask, spacing_mm: NDArray[np.float64], voxel_mm3: float
) -> tuple[int, float]:
    """Components of `found` (26-connected, any label) away from the true spine: number, mm3.

    `voxel_mm3` is the volume of a voxel, which in a sheared grid is not the product of the
    spacings.
    """
    components, n = cc3d.connected_components(
        found != 0, connectivity=26, binary_image=True, return_N=True
    )
    distance = ndimage.distance_transform_edt(true == 0, spacing_mm)
    near = np.unique(components[(distance <= NEAR_MM) & (components > 0)])
    sizes = np.bincount(components.ravel(), minlength=n + 1)
    away = np.setdiff1d(np.arange(1, n + 1), near)
    return len(away), float(sizes[away].sum() * voxel_mm3)


def _vertebrae(instance: Mask) -> Mask:
    """Instance mask without sacrum, discs and endplates."""
    return np.where(np.isin(instance, columna_convention().instances["vertebra"]), instance, 0)
