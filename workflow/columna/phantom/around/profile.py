"""Where the body lies around the spine, as curves along the superior axis."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from columna.phantom.spine.course import PhantomSpine, PhantomVertebra
from columna.phantom.spine.tubes import CentreLine

STEP_MM = 0.5
LEVEL_MM = 17.0
"""Length of a level above C2, where none is left."""


@dataclass(frozen=True)
class Profile:
    """Curves over the superior position.

    Parameters
    ----------
    superior
        Shape (n,), ascending, mm.
    curves
        Name -> shape (n,): ``right`` and ``anterior`` (centre of the canal, RAS mm), ``smooth``
        (the same without the sway of single levels), ``front`` (canal centre to anterior wall of
        the bodies), ``half_width`` (of the bodies), ``canal`` (half depth of the canal), ``tip``
        (canal centre to the tips of the spinous processes), ``level`` (C2 = 0, T1 = 6, L1 = 18,
        L5 = 22, on the scale of `columna.phantom.spine.morphometry`).
    """

    superior: np.ndarray
    curves: dict[str, np.ndarray]

    def at(self, superior: np.ndarray, name: str) -> np.ndarray:
        """The curve `name` at positions of any shape, float32; its ends continue."""
        return np.interp(superior, self.superior, self.curves[name]).astype(np.float32)


def profile_of(spine: PhantomSpine, line: CentreLine) -> Profile:
    """Profile of a synthetic spine."""
    order = np.argsort(line.points[:, 2])
    z = line.points[order, 2]
    chain = list(reversed(spine.chain))
    heights = np.array([v.frame[2, 3] for v in chain])

    def per_level(values: list[float]) -> np.ndarray:
        return np.interp(z, heights, values)

    level = per_level([rank(v.label) for v in chain])
    level = level - np.maximum(z - heights[-1], 0) / LEVEL_MM
    level = level + np.maximum(heights[0] - z, 0) / 30
    anterior = line.points[order, 1]
    return Profile(
        z,
        {
            "right": line.points[order, 0],
            "anterior": anterior,
            "smooth": ndimage.gaussian_filter1d(anterior, 50 / STEP_MM, mode="nearest"),
            "front": per_level([v.body.depth / 2 - v.canal_centre[1] for v in chain]),
            "half_width": per_level([v.body.width / 2 for v in chain]),
            "canal": line.canal[order, 0],
            "tip": per_level([_tip(v) for v in chain]),
            "level": level,
        },
    )


def _tip(vertebra: PhantomVertebra) -> float:
    size = vertebra.sizes
    return size.canal_ap / 2 + size.spinous * np.cos(np.deg2rad(size.spinous_deg)) + 4


def rank(label: int) -> float:
    """Place of an instance label on the scale of `columna.phantom.spine.morphometry`."""
    return {26: 23.0, 28: 17.5}.get(label, label - 2.0)
