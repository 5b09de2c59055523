"""The mid-sagittal band of a body, its depth and its width (G4, G5 of docs/measures.md)."""

from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.frame import Frame, reach_mm
from columna.measure.tools.crops import Crop
from columna.measure.tools.robust import finite_median

OFFSETS_N = 7
WIDTH_SHARE = 0.15
DEPTH_ROWS_MM = (-2.0, 0.0, 2.0)
WIDTH_COLUMNS_MM = (-3.0, 0.0, 3.0)
WALL_SHARE = 0.6
"""Central part of the height in which the walls are straight."""
WALL_ROWS_N = 9
LEAST_VALID = 0.6


@dataclass(frozen=True, eq=False)
class Band:
    """Middle of a body, in its frame: all lengths in mm from the frame's origin.

    Parameters
    ----------
    middle_r, middle_s
        Middle of the width, and of the height.
    half_mm
        Half the width of the band.
    width_mm, depth_mm
        Size of the body along r and a, medians at mid-height.
    posterior_a
        Place of the posterior wall at mid-height; fractions of the depth count from here.
    slices_n
        Native slices whose middle lies in the band.
    wall_s
        Heights at which both walls were found, shape (k,).
    posterior_hits, anterior_hits
        The walls there, by height and offset, shape (k, 7); NaN where a ray missed.
    """

    middle_r: float
    middle_s: float
    half_mm: float
    width_mm: float
    depth_mm: float
    posterior_a: float
    slices_n: int
    wall_s: np.ndarray
    posterior_hits: np.ndarray
    anterior_hits: np.ndarray

    @property
    def offsets_r(self) -> np.ndarray:
        """Places along r where the band is sampled, shape (7,)."""
        return self.middle_r + self.half_mm * np.linspace(-1, 1, OFFSETS_N)

    def at_depth(self, fraction: float | np.ndarray) -> np.ndarray:
        """Place along a at a fraction of the depth, 0 = posterior wall."""
        return self.posterior_a + self.depth_mm * np.asarray(fraction, float)


def fit_band(body: Crop, frame: Frame) -> Band | None:
    """Find the band of `body`; None where fewer than 60 % of its rays meet the body."""
    middle_s = _middle_height(frame)
    across = _across(body, frame, middle_s)
    if across is None:
        return None
    middle_r, width = across
    slice_mm, to_right = _slices(body, frame)
    half = max(WIDTH_SHARE * width, slice_mm / 2)
    offsets = middle_r + half * np.linspace(-1, 1, OFFSETS_N)
    posterior, anterior = _walls(body, frame, offsets, middle_s + np.array(DEPTH_ROWS_MM))
    if np.isfinite(posterior).mean() < LEAST_VALID:
        return None
    rows = middle_s + _wall_rows(frame)
    wall_posterior, wall_anterior = _walls(body, frame, offsets, rows)
    return Band(
        middle_r=middle_r,
        middle_s=middle_s,
        half_mm=half,
        width_mm=width,
        depth_mm=finite_median(anterior - posterior),
        posterior_a=finite_median(posterior),
        slices_n=_slices_within(body, frame.to_world([middle_r, 0, middle_s]), half * to_right),
        wall_s=rows,
        posterior_hits=wall_posterior,
        anterior_hits=wall_anterior,
    )


def _middle_height(frame: Frame) -> float:
    """Half-way between the endplates where both are known, else the centroid's height."""
    if frame.superior is None or frame.inferior is None:
        return 0.0
    return float(sum(frame.to_local(p.point)[2] for p in (frame.superior, frame.inferior)) / 2)


def _across(body: Crop, frame: Frame, middle_s: float) -> tuple[float, float] | None:
    """Middle and width along r."""
    a, s = np.meshgrid(WIDTH_COLUMNS_MM, middle_s + np.array(DEPTH_ROWS_MM), indexing="ij")
    starts = np.stack([np.zeros(a.size), a.reshape(-1), s.reshape(-1)], axis=1)
    reach = reach_mm(body, frame, frame.r)
    left, right = body.indicator.crossings(frame.to_world(starts), frame.r, -reach, reach)
    if np.isfinite(left).mean() < LEAST_VALID:
        return None
    return finite_median((left + right) / 2), finite_median(right - left)


def _wall_rows(frame: Frame) -> np.ndarray:
    """Heights, from the middle, at which the walls are looked for."""
    if frame.superior is None or frame.inferior is None:
        return np.array(DEPTH_ROWS_MM)
    height = (frame.superior.point - frame.inferior.point) @ frame.s
    return WALL_SHARE * height * np.linspace(-0.5, 0.5, WALL_ROWS_N)


def _walls(
    body: Crop, frame: Frame, offsets: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior and anterior hits of rays along a, shape (len(rows), len(offsets)) each."""
    s, r = np.meshgrid(rows, offsets, indexing="ij")
    starts = np.stack([r.reshape(-1), np.zeros(r.size), s.reshape(-1)], axis=1)
    reach = reach_mm(body, frame, frame.a)
    posterior, anterior = body.indicator.crossings(frame.to_world(starts), frame.a, -reach, reach)
    return posterior.reshape(r.shape), anterior.reshape(r.shape)


def _slices(body: Crop, frame: Frame) -> tuple[float, float]:
    """Distance between slices in mm, and cosine between their normal and r."""
    slice_mm, normal = slice_normal(body.affine)
    return slice_mm, abs(float(normal @ frame.r))


def slice_normal(affine: np.ndarray) -> tuple[float, np.ndarray]:
    """Largest voxel spacing in mm, and the unit vector along its axis."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axis = through_plane_axis(affine)
    return float(spacing[axis]), affine[:3, axis] / spacing[axis]


def through_plane_axis(affine: np.ndarray) -> int:
    """Array axis with the largest spacing; of equal ones the first (left-right in crops)."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return int(np.argmax(np.round(spacing, 4)))


def _slices_within(body: Crop, middle: np.ndarray, half_mm: float) -> int:
    """Slices whose middle is nearer than `half_mm` to the point `middle`, across the slices."""
    slice_mm, normal = slice_normal(body.affine)
    place = float((middle - body.affine[:3, 3]) @ normal) / slice_mm
    reach = half_mm / slice_mm
    return int(np.floor(round(place + reach, 6)) - np.ceil(round(place - reach, 6)) + 1)
