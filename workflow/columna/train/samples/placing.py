"""Where in a label map a sample looks, and how the patient lies there."""

from collections.abc import Mapping

import numpy as np

from columna.train.samples.deform import MapPose, random_pose
from columna.train.samples.maps import LabelMap

PAIRS = ((43, 44), (45, 46), (47, 48))
"""Labels that a mirrored patient swaps."""


def place(
    label_map: LabelMap, odds_of: Mapping[int, float], rng: np.random.Generator, usual: float = 1.0
) -> tuple[MapPose, bool]:
    """Put a random labelled point into the origin of the scanner; mirror every second patient.

    Parameters
    ----------
    odds_of
        Odds of the semantic labels.
    usual
        Odds of those that `odds_of` does not name.
    """
    odds = np.array([odds_of.get(int(label), usual) for label in label_map.labels])
    label = rng.choice(label_map.labels, p=odds / odds.sum())
    rows = label_map.points[label_map.points[:, 0] == label, 1:]
    return pose_at(rows[rng.integers(len(rows))] * label_map.spacing_mm, rng)


def pose_at(point_mm: np.ndarray, rng: np.random.Generator) -> tuple[MapPose, bool]:
    """A pose with `point_mm`, shape (3,), in the origin, and whether the patient is mirrored."""
    pose = random_pose(point_mm, rng)
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        pose.matrix[:, 2] *= -1
    return pose, mirrored


def swapped(labels: np.ndarray) -> np.ndarray:
    """Exchange the labels of left and right."""
    lookup = np.arange(256, dtype=np.uint8)
    for left, right in PAIRS:
        lookup[[left, right]] = right, left
    return lookup[labels]
