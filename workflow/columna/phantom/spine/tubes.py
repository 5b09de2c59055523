"""Spinal canal and cord: elliptic tubes along one smooth centre line."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from columna.anatomy import L1, Semantic
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.course import PhantomSpine, PhantomVertebra
from columna.phantom.tissues import CAUDA
from columna.phantom.voxels import VoxelGrid

STEP_MM = 0.5
TOP_MM = 60.0
"""How far cord and canal go on above the middle of C2."""
CONUS_MM = 22.0
"""Length over which the cord tapers off."""


@dataclass(frozen=True)
class CentreLine:
    """Samples of the canal's centre line, from caudal to cranial.

    Parameters
    ----------
    points, tangents, right
        Shape (n, 3), RAS mm and unit vectors.
    canal, cord
        Shape (n, 2), half axes (anterior-posterior, left-right) in mm; 0 where there is no cord.
    arc_mm
        Shape (n,), arc length from the caudal end.
    """

    points: np.ndarray
    tangents: np.ndarray
    right: np.ndarray
    canal: np.ndarray
    cord: np.ndarray
    arc_mm: np.ndarray


def centre_line(spine: PhantomSpine, stenosis: Mapping[int, float] | None = None) -> CentreLine:
    """Centre line through the canal centres of all vertebrae and S1 to S4.

    Parameters
    ----------
    stenosis
        Vertebra -> lost share of the depth of the canal behind it; the bones stay.
    """
    narrowed = stenosis or {}
    levels: list[PhantomVertebra] = [*reversed(spine.sacrum[:4]), *reversed(spine.vertebrae)]
    c2 = levels[-1]
    top = c2.to_world(c2.canal_centre + np.array([0, 4.0, TOP_MM]))
    knots = np.array([*(v.to_world(v.canal_centre) for v in levels), top])
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    curve = CubicSpline(chord, knots)
    t = np.arange(0, chord[-1], STEP_MM)
    tangents = curve(t, 1)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)

    def along(values: list) -> np.ndarray:
        padded = np.array([*values, values[-1]], float)
        return np.stack([np.interp(t, chord, column) for column in padded.T], axis=1)

    right = along([v.frame[:3, 0] for v in levels])
    right -= (right * tangents).sum(axis=1, keepdims=True) * tangents
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    canal = along(
        [
            (v.sizes.canal_ap / 2 * (1 - narrowed.get(v.label, 0.0)), v.sizes.canal_rl / 2)
            for v in levels
        ]
    )
    cord = along([(v.sizes.cord_ap / 2, v.sizes.cord_rl / 2) for v in levels])
    points = curve(t)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    end = arc[_conus_index(points, spine)]
    cord *= np.sqrt(np.clip((arc - end) / CONUS_MM, 0, 1))[:, None]
    return CentreLine(points, tangents, right, canal, np.minimum(cord, 0.85 * canal), arc)


def _conus_index(points: np.ndarray, spine: PhantomSpine) -> int:
    """Sample behind the middle of L1, where the cord ends."""
    l1 = next(v for v in spine.vertebrae if v.label == L1)
    return int(np.argmin(np.linalg.norm(points - l1.to_world(l1.canal_centre), axis=1)))


def paint_canal(
    grid: VoxelGrid,
    line: CentreLine,
    semantic: np.ndarray,
    scene: np.ndarray,
    settings: PhantomSettings,
) -> None:
    """Write canal, cord and nerve roots into `semantic` and `scene` (in place, empty voxels)."""
    candidates = _near(grid, line)
    if not len(candidates):
        return
    world = candidates @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    _, nearest = cKDTree(line.points).query(world)
    offset = world - line.points[nearest]
    x = (offset * line.right[nearest]).sum(axis=1)
    forward = np.cross(line.tangents, line.right)[nearest]
    y = (offset * forward).sum(axis=1)
    beyond = np.abs((offset * line.tangents[nearest]).sum(axis=1)) > STEP_MM

    def inside(axes: np.ndarray, shift: float = 0.0) -> np.ndarray:
        axes = np.maximum(axes[nearest], 1e-3)
        return ((y - shift) / axes[:, 0]) ** 2 + (x / axes[:, 1]) ** 2 <= 1

    index = tuple(candidates.T)
    free = (semantic[index] == 0) & ~beyond
    canal = inside(line.canal) & free
    cord = inside(line.cord) & canal & (line.cord[nearest, 0] > 0.6)
    labels = np.where(cord, Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)[canal]
    chosen = tuple(candidates[canal].T)
    semantic[chosen] = labels
    below = line.cord[nearest, 0] < 0.7 * line.canal[nearest, 0]
    roots = inside(0.55 * line.canal, -2.0 * settings.size) & below & canal & ~cord
    scene[chosen] = np.where(roots[canal], CAUDA, labels)


def _near(grid: VoxelGrid, line: CentreLine) -> np.ndarray:
    """Indices, shape (n, 3), of the voxels close enough to the line to lie in the canal."""
    near = np.zeros(grid.shape, bool)
    pieces = np.array_split(np.arange(len(line.points)), max(len(line.points) // 30, 1))
    for piece in pieces:
        margin = line.canal[piece].max() + 1
        frame = np.eye(4)
        points = line.points[piece]
        box = grid.box(frame, points.min(axis=0) - margin, points.max(axis=0) + margin)
        if box is not None:
            near[box] = True
    return np.argwhere(near)
