"""Shape of one endplate: how hollow, how thick, how large (morphometrics 5.4)."""

from dataclasses import dataclass, replace

import numpy as np

from columna.measure.crops import Crop
from columna.measure.frame import COLUMN_MM, DEPTH_SHARE, WIDTH_SHARE, Frame, Plane
from columna.measure.heights import RIMS
from columna.measure.sacral import NEAR_PLANE_MM

_THICKEST_MM = 6.0
_INTO_BONE_MM = 1.0
LEAST_COLUMNS = 12


@dataclass(frozen=True)
class Hollow:
    """Depth of an endplate below its rims (mm, + = concave), and where (fraction of the depth)."""

    depth_mm: float
    position: float


def hollow(
    fractions: np.ndarray, along: np.ndarray, hits: np.ndarray, outward: int
) -> Hollow | None:
    """Find the largest depth below the chord that joins the rims.

    Parameters
    ----------
    fractions, along
        Fractions of the depth, and their places in mm, shape (k,).
    hits
        Surface by fraction and offset, shape (k, 7); NaN where a column missed.
    outward
        1 for a superior, -1 for an inferior endplate.

    Returns
    -------
    Hollow or None
        Of the median profile over the offsets; None where a rim or the middle was missed.
    """
    rims = [int(np.argmin(np.abs(fractions - rim))) for rim in RIMS]
    between = slice(rims[0], rims[1] + 1)
    slope = (hits[rims[1]] - hits[rims[0]]) / (along[rims[1]] - along[rims[0]])
    chord = hits[rims[0]] + slope * (along[between, None] - along[rims[0]])
    depth = outward * (chord - hits[between])
    is_hit = np.isfinite(depth)
    if not is_hit.any(axis=1).all():
        return None
    profile = np.array([np.median(row[hit]) for row, hit in zip(depth, is_hit, strict=True)])
    # the largest of noisy values is too large
    profile = np.convolve(np.pad(profile, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    # equal depths next to each other: the first, whatever the last bits say
    deepest = int(np.argmax(np.round(np.abs(profile), 6)))
    return Hollow(float(profile[deepest]), float(fractions[between][deepest]))


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
