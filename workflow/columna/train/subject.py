"""Who is trained on: masks on a network's grid, and ways to see them; synthetic or real."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from columna.train.painting import paint_at_random
from columna.train.scenes import scenes

Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Subject:
    """A spine on the grid of a network, axes (P, I, R).

    Parameters
    ----------
    semantic, instance
        uint8 masks, numbers as SPINEPS writes them.
    paint
        Draws an image of them: float32, the scale is arbitrary.
    """

    semantic: np.ndarray
    instance: np.ndarray
    paint: Callable[[np.random.Generator], np.ndarray]


def draw_synthetic(rng: np.random.Generator, spacing_mm: Triple) -> Subject:
    """Draw a new scene that is painted at random."""
    scene = next(scenes(rng, spacing_mm))
    spacing = np.sqrt((scene.grid.affine[:3, :3] ** 2).sum(axis=0))
    return Subject(
        scene.semantic,
        scene.instance,
        lambda rng: paint_at_random(scene.tissues, spacing, rng),
    )
