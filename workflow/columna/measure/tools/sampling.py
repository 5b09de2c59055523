"""Sample a binary mask between its voxels: trilinear, in mm (docs/measures.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

INSIDE = 0.5
"""Interpolated mask values from here on are inside."""

_COARSE = 4
"""Rays are searched in steps of so many fine steps, then finely around the crossings."""


@dataclass(frozen=True, eq=False)
class Indicator:
    """A binary mask as a continuous function of place: 1 inside, 0 outside, 0.5 on the surface.

    Never resampled, never turned into a distance map: at 3.3 mm slices both move the surface of
    thin structures (docs/method.md#measuring).

    Parameters
    ----------
    values
        Mask with one voxel of background around it, float32, three axes.
    to_index
        4x4, RAS+ mm to index of `values`.
    """

    values: np.ndarray
    to_index: np.ndarray

    @classmethod
    def of(cls, mask_crop: np.ndarray, start: Sequence[int], affine: np.ndarray) -> "Indicator":
        """Prepare the part of a mask that begins at voxel `start` of a grid.

        Parameters
        ----------
        mask_crop
            Boolean, three axes; everything beyond it is background.
        start
            Index of its first voxel in the grid, shape (3,).
        affine
            4x4, voxel index of the grid to RAS+ mm.
        """
        to_index = np.linalg.inv(affine)
        to_index[:3, 3] += 1 - np.asarray(start, float)
        return cls(np.pad(mask_crop.astype(np.float32), 1), to_index)

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Interpolate at `points_mm`, RAS+, shape (..., 3); float32 of shape (...)."""
        points = np.asarray(points_mm, float)
        index = self.to_index[:3, :3] @ points.reshape(-1, 3).T + self.to_index[:3, 3:]
        return self._at_index(index).reshape(points.shape[:-1])

    def on_planes(
        self, centres_mm: np.ndarray, axes: Sequence[np.ndarray], places_mm: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Interpolate on a rectangular grid in each of several planes.

        Parameters
        ----------
        centres_mm
            A point of each plane, RAS+, shape (n, 3).
        axes
            Two unit vectors in each plane, shape (n, 3) each.
        places_mm
            Places along the axes from the centres, shapes (p,) and (q,).

        Returns
        -------
        np.ndarray
            float32 of shape (n, p, q).
        """
        index = (self.to_index[:3, :3] @ centres_mm.T + self.to_index[:3, 3:])[..., None, None]
        first, second = ((self.to_index[:3, :3] @ axis.T)[..., None, None] for axis in axes)
        along = np.asarray(places_mm[0])[:, None], np.asarray(places_mm[1])[None, :]
        return self._at_index((index + first * along[0]) + second * along[1])

    def crossings(
        self,
        origins_mm: np.ndarray,
        direction: np.ndarray,
        low_mm: float,
        high_mm: float,
        step_mm: float = 0.1,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find where parallel rays enter the mask for the first and leave it for the last time.

        Rays are searched at four times `step_mm` and then at `step_mm` next to the crossings, which
        are interpolated linearly: parts of a mask thinner than the search step may be missed.

        Parameters
        ----------
        origins_mm
            Points where the rays have position 0, RAS+, shape (n, 3).
        direction
            Unit vector, shape (3,).
        low_mm, high_mm
            Positions along the rays between which they are searched.
        step_mm
            Fine step.

        Returns
        -------
        tuple of np.ndarray
            Positions of the first and last crossing in mm, shape (n,) each; NaN where a ray is
            never inside. A ray that is inside at an end of the search has its crossing there.
        """
        origins = self.to_index[:3, :3] @ np.asarray(origins_mm, float).T + self.to_index[:3, 3:]
        along = self.to_index[:3, :3] @ np.asarray(direction, float)
        coarse_mm = _COARSE * step_mm
        steps = max(int(np.ceil((high_mm - low_mm) / coarse_mm - 1e-9)), 1)
        positions = low_mm + coarse_mm * np.arange(steps + 1)
        inside = self._along(origins, along, positions[None, :]) >= INSIDE
        first, last = np.full((2, origins.shape[1]), np.nan)
        hit = np.flatnonzero(inside.any(axis=1))
        if len(hit):
            enter = positions[inside[hit].argmax(axis=1)]
            leave = positions[steps - inside[hit, ::-1].argmax(axis=1)]
            rays = origins[:, hit]
            first[hit] = enter - self._retreat(rays, -along, enter - low_mm, -enter, step_mm)
            last[hit] = leave + self._retreat(rays, along, positions[-1] - leave, leave, step_mm)
        return first, last

    def _retreat(
        self,
        origins: np.ndarray,
        along: np.ndarray,
        room_mm: np.ndarray,
        inside_mm: np.ndarray,
        step_mm: float,
    ) -> np.ndarray:
        """Distance from a place inside to the surface ahead, at most one coarse step away."""
        ahead = step_mm * np.arange(_COARSE + 1)
        values = self._along(origins, along, inside_mm[:, None] + ahead[None, :])
        # the last sample that is inside; the one after it is not, the search has seen to that
        at = _COARSE - (values >= INSIDE)[:, ::-1].argmax(axis=1)
        after = np.minimum(at + 1, _COARSE)
        row = np.arange(len(at))
        before_value, after_value = values[row, at], values[row, after]
        drop = np.where(after > at, before_value - after_value, 1.0)
        share = np.where(after > at, (before_value - INSIDE) / drop, 0.0)
        return np.where(room_mm > 0, (at + share) * step_mm, 0.0)

    def _along(self, origins: np.ndarray, along: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Values at `positions` (n or 1, m) of the rays; `origins` (3, n) and `along` in voxels."""
        index = origins[:, :, None] + along[:, None, None] * positions[None]
        return self._at_index(index.reshape(3, -1)).reshape(index.shape[1:])

    def _at_index(self, index: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(
            self.values, index, output=np.float32, order=1, mode="constant", prefilter=False
        )
