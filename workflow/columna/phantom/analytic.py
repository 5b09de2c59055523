"""Solids given by formulas, put on a voxel grid: what measures are tested against.

Unlike the phantoms that networks are trained on, nothing here is drawn on a grid first: the true
measures follow from the formulas (morphometrics, section 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from columna.volume import Volume

_FINE, _COARSE = 3, 5
"""Points per voxel along the two finer and along the coarsest axis; odd, so that none are ties."""


class Solid(Protocol):
    """A region of space."""

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether points, RAS+ mm, shape (..., 3), belong to it; shape (...)."""

    @property
    def centre(self) -> np.ndarray:
        """Middle of a ball around it, shape (3,)."""

    @property
    def radius(self) -> float:
        """Radius of that ball in mm."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A frame: centre, and rows r, a, s of `axes`."""

    centre: np.ndarray
    axes: np.ndarray

    def local(self, points: np.ndarray) -> np.ndarray:
        """RAS+ mm to (r, a, s)."""
        return (points - self.centre) @ self.axes.T

    def moved(self, local: Sequence[float]) -> "Placed":
        """The same axes with the centre at `local` of this frame."""
        return replace(self, centre=self.centre + np.asarray(local, float) @ self.axes)


@dataclass(frozen=True, eq=False)
class BodySolid:
    """A vertebral body: superelliptic, waisted, with concave and tilted endplates.

    Parameters
    ----------
    at
        Its frame.
    width, depth, height
        Size at mid-height in mm; the height is that of the rims, half-way front to back.
    wedge_deg, lateral_deg
        Angle between the endplates, + = anterior or right side shorter.
    hollow_superior, hollow_inferior
        Depth of the endplates' middle below their rims in mm.
    waist
        Share by which depth and width are smaller at mid-height than at the ends.
    shell_mm
        What is added above and below (to draw an endplate as the shell less the body).
    """

    at: Placed
    width: float
    depth: float
    height: float
    wedge_deg: float = 0.0
    lateral_deg: float = 0.0
    hollow_superior: float = 0.0
    hollow_inferior: float = 0.0
    waist: float = 0.05
    shell_mm: float = 0.0
    exponent: float = 2.6

    @property
    def centre(self) -> np.ndarray:
        """Middle of the body."""
        return self.at.centre

    @property
    def radius(self) -> float:
        """Half of a generous diagonal."""
        return float(np.linalg.norm([self.width, self.depth, self.height + 12])) / 2

    def surfaces(self, r: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper surface s over places (r, a), without the shell."""
        tilt = (
            np.tan(np.deg2rad(self.wedge_deg / 2)) * a
            + np.tan(np.deg2rad(self.lateral_deg / 2)) * r
        )
        bowl = np.maximum(1 - (2 * r / self.width) ** 2 - (2 * a / self.depth) ** 2, 0)
        upper = self.height / 2 - tilt - self.hollow_superior * bowl
        lower = -self.height / 2 + tilt + self.hollow_inferior * bowl
        return lower, upper

    def flare(self, s: np.ndarray) -> np.ndarray:
        """Size of the cross-section at height s, 1 at mid-height."""
        return 1 + self.waist * np.minimum(2 * np.abs(s) / self.height, 1) ** 2

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether points belong to it."""
        return self.holds(self.at.local(points))

    def holds(self, local: np.ndarray) -> np.ndarray:
        """Whether points (r, a, s) belong to it."""
        r, a, s = np.moveaxis(local, -1, 0)
        lower, upper = self.surfaces(r, a)
        flare = self.flare(s)
        ring = np.abs(2 * r / self.width / flare) ** self.exponent
        ring += np.abs(2 * a / self.depth / flare) ** self.exponent
        return (ring <= 1) & (s <= upper + self.shell_mm) & (s >= lower - self.shell_mm)


@dataclass(frozen=True, eq=False)
class Tube:
    """An elliptic cylinder along s."""

    at: Placed
    width: float
    depth: float
    length: float

    @property
    def centre(self) -> np.ndarray:
        """Middle of the axis."""
        return self.at.centre

    @property
    def radius(self) -> float:
        """Half of the diagonal."""
        return float(np.linalg.norm([self.width, self.depth, self.length])) / 2

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether points belong to it."""
        r, a, s = np.moveaxis(self.at.local(points), -1, 0)
        is_within = (2 * r / self.width) ** 2 + (2 * a / self.depth) ** 2 <= 1
        return is_within & (np.abs(s) <= self.length / 2)


def voxels_of(solid: Solid, grid: Volume) -> tuple[tuple[slice, ...], np.ndarray]:
    """Voxels of `grid` of which more than half lies in `solid`: their box, and a mask of it."""
    to_index = np.linalg.inv(grid.affine)
    centre = to_index[:3, :3] @ solid.centre + to_index[:3, 3]
    reach = solid.radius / grid.spacing_mm + 1
    start = np.maximum(np.floor(centre - reach), 0).astype(int)
    stop = np.minimum(np.ceil(centre + reach) + 1, grid.shape).astype(int)
    counts = np.full(3, _FINE)
    counts[np.argmax(grid.spacing_mm)] = _COARSE
    axes = [
        (np.arange(a * n, b * n) + 0.5) / n - 0.5
        for a, b, n in zip(start, stop, counts, strict=True)
    ]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    is_in = solid.inside(index @ grid.affine[:3, :3].T + grid.affine[:3, 3])
    size = stop - start
    blocks = is_in.reshape(size[0], counts[0], size[1], counts[1], size[2], counts[2])
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return box, blocks.mean(axis=(1, 3, 5)) > 0.5


@dataclass(eq=False)
class Canvas:
    """Semantic and instance mask on which solids are painted."""

    semantic: Volume
    instance: Volume

    @classmethod
    def blank(cls, shape: Sequence[int], affine: np.ndarray) -> "Canvas":
        """Empty masks."""
        return cls(
            Volume(np.zeros(shape, np.uint8), affine), Volume(np.zeros(shape, np.uint16), affine)
        )

    def paint(self, solid: Solid, semantic: int, instance: int = 0) -> None:
        """Give the voxels of `solid` these labels."""
        box, mask = voxels_of(solid, self.semantic)
        self.semantic.array[box][mask] = semantic
        self.instance.array[box][mask] = instance


def grid_around(
    points: np.ndarray, spacing_mm: Sequence[float], margin_mm: float, shift: np.ndarray
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine (RAS) of a grid around `points`, moved by `shift` (in voxels)."""
    spacing = np.asarray(spacing_mm, float)
    low, high = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low + shift * spacing
    return tuple(int(n) for n in np.ceil((high - low) / spacing) + 1), affine


def turn_deg(sagittal: float, coronal: float, axial: float) -> np.ndarray:
    """Rows r, a, s of a frame turned about the scanner's R, A and S axes, in this order."""
    axes = np.eye(3)
    for (i, j), angle in (((1, 2), sagittal), ((0, 2), coronal), ((0, 1), axial)):
        turn = np.eye(3)
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        turn[[i, j], [i, j]], turn[i, j], turn[j, i] = c, -s, s
        axes = axes @ turn.T
    return axes
