"""Shapes as inequalities over local coordinates in mm (right, anterior, superior)."""

from dataclasses import dataclass

import numpy as np

from columna.phantom.grid import Coordinates

WAIST = 0.09
"""Relative narrowing of a body at mid height."""


@dataclass(frozen=True)
class Body:
    """A superelliptic body with concave, wedged endplates.

    Parameters
    ----------
    height, depth, width
        Outer size at the rim, endplates included.
    wedge_deg
        Angle between the endplates; positive where the front is lower.
    concavity_upper, concavity_lower
        Depth of the endplates in their middle.
    """

    height: float
    depth: float
    width: float
    wedge_deg: float = 0.0
    concavity_upper: float = 0.0
    concavity_lower: float = 0.0

    def upper(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height of the upper surface."""
        return self._rim(y) - self.concavity_upper * self._dome(x, y)

    def lower(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height of the lower surface (negative)."""
        return self.concavity_lower * self._dome(x, y) - self._rim(y)

    def contains_section(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Whether points lie within the side wall."""
        relative = np.minimum((2 / self.height * z) ** 2, 1)
        shrink = 1 - WAIST * (1 - relative)
        return superellipse(x, y, self.width / 2, self.depth / 2) <= shrink**3

    def height_at(self, y: float) -> float:
        """Distance between the outer surfaces in the mid-sagittal plane at `y`."""
        at, zero = np.float32(y), np.float32(0)
        return float(self.upper(zero, at) - self.lower(zero, at))

    def reach(self, margin: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a box that holds the body."""
        lift = abs(np.tan(np.deg2rad(self.wedge_deg) / 2)) * self.depth / 2
        half = np.array([self.width / 2, self.depth / 2, self.height / 2 + lift]) + margin
        return -half, half

    def _rim(self, y: np.ndarray) -> np.ndarray:
        return self.height / 2 - np.float32(np.tan(np.deg2rad(self.wedge_deg) / 2)) * y

    def _dome(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """1 in the middle of an endplate, 0 from 90 % of the radius on (a flat rim)."""
        radius = (x * (2 / self.width)) ** 2 + (y * (2 / self.depth)) ** 2
        return np.maximum(1 - radius / 0.81, 0)


def superellipse(x: np.ndarray, y: np.ndarray, a: float, b: float) -> np.ndarray:
    """|x/a|^3 + |y/b|^3: at most 1 inside."""
    u, v = np.abs(x) / np.float32(a), np.abs(y) / np.float32(b)
    return u * u * u + v * v * v


@dataclass(frozen=True)
class Rod:
    """A tube with round ends from `start` to `end`, `stretch` times as high as it is wide."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float
    stretch: float = 1.0

    def depth(self, at: Coordinates) -> np.ndarray:
        """How deep inside points lie (mm across the rod); negative outside."""
        scale = np.array([1, 1, 1 / self.stretch])
        p, q = np.asarray(self.start) * scale, np.asarray(self.end) * scale
        axis = (q - p).astype(np.float32)
        x, y, z = (c * np.float32(f) - np.float32(o) for c, f, o in zip(at, scale, p, strict=True))
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / max(float(axis @ axis), 1e-6)
        along = np.clip(along, 0, 1)
        gap = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
        return self.radius - np.sqrt(gap)

    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a box that holds the rod."""
        both = np.array([self.start, self.end])
        margin = self.radius * np.array([1, 1, self.stretch])
        return both.min(axis=0) - margin, both.max(axis=0) + margin
