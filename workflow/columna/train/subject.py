"""Who is trained on: masks on a network's grid, and for phase 1 ways to see them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of a spine, axes (P, I, R).

    Parameters
    ----------
    semantic, instance
        uint8, numbers as SPINEPS writes them.
    """

    semantic: np.ndarray
    instance: np.ndarray


@dataclass(frozen=True, eq=False)
class Subject(Masks):
    """Masks on the grid of a network, and what a scan of them looks like.

    Parameters
    ----------
    paint
        Draws an image: float32, the scale is arbitrary.
    """

    paint: Callable[[np.random.Generator], np.ndarray]
