"""One endplate over all columns: how thick, how large, how dented (docs/measures.md#endplates)."""

from dataclasses import dataclass, replace

import numpy as np

from columna.measure.anatomy.frame import COLUMN_MM, DEPTH_SHARE, WIDTH_SHARE, Frame, Plane
from columna.measure.anatomy.sacral import NEAR_PLANE_MM
from columna.measure.tools.crops import Crop

_THICKEST_MM = 6.0
_INTO_BONE_MM = 1.0
LEAST_COLUMNS = 12


@dataclass(frozen=True, eq=False)
class Surface:
    """An endplate as columns meet it.

    Parameters
    ----------
    frame, plane
        Frame of the bone, and the plane fitted to the endplate.
    outward
        1 for a superior, -1 for an inferior endplate.
    places, hits
        Columns 1 mm apart that meet the bone: (r, a), shape (n, 2), and s there, shape (n,).
    """

    frame: Frame
    plane: Plane
    outward: int
    places: np.ndarray
    hits: np.ndarray

    def depths_mm(self) -> np.ndarray:
        """How far the bone's surface lies below the plane, shape (n,)."""
        point = self.frame.to_local(self.plane.point)
        r, a, s = self.frame.axes @ self.plane.normal
        offset = self.places - point[:2]
        return self.outward * (point[2] - (offset[:, 0] * r + offset[:, 1] * a) / s - self.hits)

    def near_plane(self) -> "Surface":
        """The columns that meet the bone at its endplate and not at a wall."""
        is_near = np.abs(self.depths_mm()) <= NEAR_PLANE_MM
        return replace(self, places=self.places[is_near], hits=self.hits[is_near])

    def central(self) -> "Surface":
        """The columns that planes are fitted to, away from the rounded rims."""
        low, high = self.places.min(axis=0), self.places.max(axis=0)
        reach = (high - low + COLUMN_MM) / 2 * np.array([WIDTH_SHARE, DEPTH_SHARE])
        is_central = (np.abs(self.places - (low + high) / 2) <= reach).all(axis=1)
        return replace(self, places=self.places[is_central], hits=self.hits[is_central])

    @property
    def slant(self) -> float:
        """Cosine between the plane's normal and the columns."""
        return float(self.plane.normal @ self.frame.s)

    @property
    def area_mm2(self) -> float:
        """Area under the columns."""
        return len(self.hits) * COLUMN_MM**2 / self.slant

    def focal_depression_mm(self) -> float:
        """Largest depth of the central columns below the plane, less their 90th percentile."""
        depths = np.sort(self.central().depths_mm())
        return float(depths[-1] - np.quantile(depths, 0.9))

    def cover(self, plate: Crop) -> tuple[float | None, float]:
        """Thickness in mm (None where too few columns meet it) and coverage by voxels `plate`."""
        first, last = plate.indicator.crossings(
            self.frame.to_world(np.column_stack([self.places, self.hits])),
            self.outward * self.frame.s,
            -_INTO_BONE_MM,
            _THICKEST_MM,
        )
        is_met = np.isfinite(first)
        covered = float(is_met.mean())
        if np.count_nonzero(is_met) < LEAST_COLUMNS:
            return None, covered
        return float(np.median((last - first)[is_met])) * self.slant, covered
