"""Shapes as inequalities over local coordinates in mm (right, anterior, superior)."""

from dataclasses import dataclass

import numpy as np

from columna.phantom.voxels import Coordinates

WAIST = 0.09
"""Usual relative narrowing of a body at mid height."""


Coordinate = np.ndarray | np.floating


@dataclass(frozen=True)
class BodyShape:
    """A superelliptic body with concave, wedged endplates.

    Parameters
    ----------
    height, depth, width
        Outer size at the rim, endplates included.
    wedge_deg
        Angle between the endplates; positive where the front is lower.
    concavity_upper, concavity_lower
        Depth of the endplates in their middle.
    exponent
        Of the superelliptic outline.
    waist
        Relative narrowing at mid height.
    lip
        Relative flare of the rims (osteophytes).
    nodes
        Dents of the endplates (Schmorl): right, anterior, radius, depth in mm; side 1 is the upper.
    """

    height: float
    depth: float
    width: float
    wedge_deg: float = 0.0
    concavity_upper: float = 0.0
    concavity_lower: float = 0.0
    exponent: float = 3.0
    waist: float = WAIST
    lip: float = 0.0
    nodes: tuple[tuple[float, float, float, float, int], ...] = ()

    def upper(self, x: Coordinate, y: Coordinate) -> np.ndarray:
        """Height of the upper surface."""
        return self._rim(y) - self.concavity_upper * self._dome(x, y) - self._dents(x, y, 1)

    def lower(self, x: Coordinate, y: Coordinate) -> np.ndarray:
        """Height of the lower surface (negative)."""
        return self.concavity_lower * self._dome(x, y) + self._dents(x, y, -1) - self._rim(y)

    def contains_section(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Whether points lie within the side wall."""
        relative = np.minimum((2 / self.height * z) ** 2, 1)
        shrink = 1 - self.waist * (1 - relative)
        if self.lip:
            # flares in the outer quarter of the height only
            shrink = shrink + self.lip * np.maximum(relative - 0.6, 0) / 0.4
        outline = superellipse(x, y, self.width / 2, self.depth / 2, self.exponent)
        return outline <= shrink**self.exponent

    def height_at(self, y: float) -> float:
        """Distance between the outer surfaces in the mid-sagittal plane at `y`."""
        at, zero = np.float32(y), np.float32(0)
        return float(self.upper(zero, at) - self.lower(zero, at))

    def reach(self, margin: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a box that holds the body."""
        lift = abs(np.tan(np.deg2rad(self.wedge_deg) / 2)) * self.depth / 2
        flare = 1 + self.lip
        half = np.array([flare * self.width / 2, flare * self.depth / 2, self.height / 2 + lift])
        half = half + margin
        return -half, half

    def _rim(self, y: Coordinate) -> Coordinate:
        return self.height / 2 - np.float32(np.tan(np.deg2rad(self.wedge_deg) / 2)) * y

    def _dome(self, x: Coordinate, y: Coordinate) -> np.ndarray:
        """1 in the middle of an endplate, 0 from 90 % of the radius on (a flat rim)."""
        radius = (x * (2 / self.width)) ** 2 + (y * (2 / self.depth)) ** 2
        return np.maximum(1 - radius / 0.81, 0)

    def _dents(self, x: Coordinate, y: Coordinate, side: int) -> np.ndarray:
        """Depth of the nodes of one endplate."""
        depth = np.zeros(np.broadcast(x, y).shape, np.float32)
        for right, anterior, radius, deep, where in self.nodes:
            if where == side:
                gap = ((x - right) ** 2 + (y - anterior) ** 2) / np.float32(radius**2)
                depth = np.maximum(depth, np.float32(deep) * np.sqrt(np.maximum(1 - gap, 0)))
        return depth


def superellipse(
    x: np.ndarray, y: np.ndarray, a: float, b: float, exponent: float = 3.0
) -> np.ndarray:
    """|x/a|^n + |y/b|^n: at most 1 inside."""
    u, v = np.abs(x) / np.float32(a), np.abs(y) / np.float32(b)
    if exponent == 3.0:
        return u * u * u + v * v * v
    return u ** np.float32(exponent) + v ** np.float32(exponent)


@dataclass(frozen=True)
class Rod:
    """A tube with round ends from `start` to `end`.

    It is `stretch` times as high and `deep` times as deep as it is wide.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float
    stretch: float = 1.0
    deep: float = 1.0

    def depth(self, at: Coordinates) -> np.ndarray:
        """How deep inside points lie (mm across the rod); negative outside."""
        scale = np.array([1, 1 / self.deep, 1 / self.stretch])
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
        margin = self.radius * np.array([1, self.deep, self.stretch])
        return both.min(axis=0) - margin, both.max(axis=0) + margin
