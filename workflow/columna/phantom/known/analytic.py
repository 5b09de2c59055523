"""Solids given by formulas, put on a voxel grid: what measures are tested against.

Unlike the phantoms that networks are trained on, nothing here is drawn on a grid first: the true
measures follow from the formulas (docs/accuracy.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import ndimage

from columna.images.triple import three
from columna.images.volume import Volume
from columna.measure.tools.crops import to_world

_FINE, _COARSE = 3, 5
"""Points per voxel along the two finer and along the coarsest axis; odd, so that none are ties."""


class Solid(Protocol):
    """A region of space."""

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether points, RAS+ mm, shape (..., 3), belong to it; shape (...)."""

    @property
    def corners(self) -> np.ndarray:
        """Corners of a box around it, RAS+ mm, shape (8, 3)."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A frame: centre, and rows r, a, s of `axes`."""

    centre: np.ndarray
    axes: np.ndarray

    def local(self, points: np.ndarray) -> np.ndarray:
        """RAS+ mm to (r, a, s)."""
        return (points - self.centre) @ self.axes.T

    def box(self, sizes: Sequence[float]) -> np.ndarray:
        """Corners of a box of these sizes about the centre, RAS+ mm, shape (8, 3)."""
        signs = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.centre + (signs * np.asarray(sizes, float)) @ self.axes

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
    def corners(self) -> np.ndarray:
        """Corners of a box around it."""
        flare = float(self.flare(np.array(self.height)))
        tilt = np.tan(np.deg2rad(np.abs([self.lateral_deg, self.wedge_deg])))
        rise = tilt @ [self.width, self.depth] + 2 * self.shell_mm
        return self.at.box([self.width * flare, self.depth * flare, self.height + rise])

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
    def corners(self) -> np.ndarray:
        """Corners of a box around it."""
        return self.at.box([self.width, self.depth, self.length])

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether points belong to it."""
        r, a, s = np.moveaxis(self.at.local(points), -1, 0)
        is_within = (2 * r / self.width) ** 2 + (2 * a / self.depth) ** 2 <= 1
        return is_within & (np.abs(s) <= self.length / 2)


def voxels_of(solid: Solid, grid: Volume) -> tuple[tuple[slice, ...], np.ndarray]:
    """Voxels of `grid` of which more than half lies in `solid`: their box, and a mask of it."""
    corners = to_world(np.linalg.inv(grid.affine), solid.corners)
    start = np.maximum(np.floor(corners.min(axis=0)) - 1, 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + 2, grid.shape).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, start, stop), indexing="ij"), axis=-1)
    mask = solid.inside(to_world(grid.affine, index))
    # only voxels at the border can be divided
    is_border = ndimage.binary_dilation(mask, iterations=1) & ~ndimage.binary_erosion(mask)
    counts = np.full(3, _FINE)
    counts[np.argmax(grid.spacing_mm)] = _COARSE
    within = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    parts = np.stack(np.meshgrid(*within, indexing="ij"), axis=-1).reshape(-1, 3)
    points = to_world(grid.affine, index[is_border][:, None] + parts)
    mask[is_border] = solid.inside(points).mean(axis=1) > 0.5
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)), mask


@dataclass(eq=False)
class SolidCanvas:
    """Semantic and instance mask on which solids are painted."""

    semantic: Volume
    instance: Volume

    @classmethod
    def blank(cls, shape: Sequence[int], affine: np.ndarray) -> "SolidCanvas":
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
    return three(int(n) for n in np.ceil((high - low) / spacing) + 1), affine


def turn_deg(sagittal: float, coronal: float, axial: float) -> np.ndarray:
    """Rows r, a, s of a frame turned about the scanner's R, A and S axes, in this order."""
    axes = np.eye(3)
    for (i, j), angle in (((1, 2), sagittal), ((0, 2), coronal), ((0, 1), axial)):
        turn = np.eye(3)
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        turn[[i, j], [i, j]], turn[i, j], turn[j, i] = c, -s, s
        axes = axes @ turn.T
    return axes
