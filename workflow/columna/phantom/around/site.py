"""Coordinates of every voxel of a scene relative to the spine, and noise to paint with."""

from dataclasses import dataclass

import numpy as np

from columna.phantom.around.profile import Profile
from columna.phantom.texture import smooth_noise
from columna.phantom.voxels import VoxelGrid

Place = float | np.floating | np.ndarray
"""One place for all voxels, or one for each; float32 numbers leave arrays float32."""


@dataclass(frozen=True, eq=False)
class Site:
    """Where voxels lie. Arrays broadcast to `shape`; mm.

    Parameters
    ----------
    u, v
        Anterior and right of the middle of the canal.
    level
        Place along the spine (C2 = 0, T1 = 6, L1 = 18, L5 = 22; see
        `columna.phantom.around.profile`).
    front, half_width, canal, tip
        See `columna.phantom.around.profile.Profile`.
    back, belly
        Posterior and anterior skin, on the scale of `u`.
    tissue
        uint8, what is painted so far; changed in place.
    """

    shape: tuple[int, int, int]
    spacing: np.ndarray
    rng: np.random.Generator
    u: np.ndarray
    v: np.ndarray
    superior: np.ndarray
    level: np.ndarray
    front: np.ndarray
    half_width: np.ndarray
    canal: np.ndarray
    tip: np.ndarray
    back: np.ndarray
    belly: np.ndarray
    tissue: np.ndarray

    def noise(self, scale_mm: float, stretch: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
        """Smooth field of unit variance; `stretch` lengthens its grain along P, I, R."""
        return smooth_noise(self.shape, self.spacing / stretch, scale_mm, self.rng)

    def fill(self, where: np.ndarray, code: int | np.ndarray) -> None:
        """Give the voxels of `where` (any shape that broadcasts) a tissue."""
        np.copyto(self.tissue, np.asarray(code, np.uint8), where=where)

    def tube(self, u: Place, v: Place, radius: float, low: float, high: float) -> np.ndarray:
        """A tube along the spine around (`u`, `v`) between two levels."""
        inside = (self.u - u) ** 2 + (self.v - v) ** 2 < radius**2
        return inside & (self.level > low) & (self.level < high)


def make_site(grid: VoxelGrid, profile: Profile, rng: np.random.Generator) -> Site:
    """Site of a grid along P, I, R (any tilt), with the skin of a random body."""
    right, anterior, superior = _coordinates(grid)
    level = profile.at(superior, "level")
    smooth = profile.at(superior, "smooth") - profile.at(superior, "anterior")
    stout = float(np.exp(rng.normal(0, 0.3)))
    thin_back = rng.uniform(6, 14)
    # depth of the soft tissue behind the tips, and from the canal to the front of the body
    behind = np.interp(level, [-3, 3, 8, 16, 22, 25], [30, 22, 12, 12, 22, 45]) * stout
    ahead = np.interp(
        level, [-3, 1, 5, 8, 14, 19, 23], np.array([95, 75, 62, 105, 140, 135, 150])
    ) * (0.6 + 0.4 * stout)
    tip = profile.at(superior, "tip")
    return Site(
        shape=grid.shape,
        spacing=grid.spacing_mm,
        rng=rng,
        u=anterior - profile.at(superior, "anterior"),
        v=right - profile.at(superior, "right"),
        superior=superior,
        level=level,
        front=profile.at(superior, "front"),
        half_width=profile.at(superior, "half_width"),
        canal=profile.at(superior, "canal"),
        tip=tip,
        back=(smooth - np.maximum(tip, 20) - behind - thin_back).astype(np.float32),
        belly=(smooth + ahead).astype(np.float32),
        tissue=np.zeros(grid.shape, np.uint8),
    )


def _coordinates(grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RAS mm; arrays of one axis each where the grid is upright along P, I, R, which is fast."""
    linear = grid.affine[:3, :3]
    upright = np.zeros((3, 3), bool)
    upright[[1, 2, 0], [0, 1, 2]] = True
    if np.abs(linear[~upright]).max() > 1e-6:
        return grid.coordinates(np.eye(4), grid.whole)
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.shape)
    start = grid.affine[:3, 3]
    return (
        (linear[0, 2] * k + start[0]).astype(np.float32)[None, None],
        (linear[1, 0] * i + start[1]).astype(np.float32)[:, None, None],
        (linear[2, 1] * j + start[2]).astype(np.float32)[None, :, None],
    )
