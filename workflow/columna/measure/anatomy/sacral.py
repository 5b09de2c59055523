"""The superior endplate of S1 (docs/measures.md#g8)."""

from dataclasses import dataclass, replace

import numpy as np

from columna.measure.anatomy.body import Body, Line
from columna.measure.anatomy.frame import (
    DEPTH_SHARE,
    LARGEST_RMS_MM,
    LARGEST_TURN_DEG,
    WIDTH_SHARE,
    Frame,
    Plane,
    angle_deg,
    centred_grid,
    fit_plane,
    reach_mm,
    unit,
)
from columna.measure.anatomy.heights import LINE_SPAN
from columna.measure.tools.crops import Crop
from columna.measure.tools.robust import finite_median, huber_fit

LEAST_VALID = 0.6
FLATTEST = 0.35
"""Discs up to this ratio of the smallest to the middle variance have a normal of their own."""
_REFINEMENTS = 3
_STOP_DEG = 0.1
_BELOW_MM = 40.0
_BAND_SHARE = 0.15
_OFFSETS = np.linspace(-1, 1, 7)
_ENDS_N = 81
NEAR_PLANE_MM = 3.0
"""Columns that meet a bone so near to the plane meet it at the endplate, not at a wall."""


@dataclass(frozen=True, eq=False)
class SacralPlate:
    """Superior endplate of S1.

    Parameters
    ----------
    frame
        Axes with s along the plate's normal; origin = centroid of the disc above.
    plane
        Plane of the endplate; its normal points cranially.
    line
        Endplate line in the band: middle, direction to anterior.
    length_mm
        Anterior-posterior length of the endplate below the disc.
    places, hits
        Columns 1 mm apart through all of the disc: (r, a), shape (n, 2), and the first hit of the
        sacrum, s, shape (n,), NaN where it was missed; mm from the origin.
    band_hits
        Hits by fraction of the length (0 = posterior end) and offset, shape (k, 7), at `fractions`.
    """

    frame: Frame
    plane: Plane
    line: Line
    length_mm: float
    places: np.ndarray
    hits: np.ndarray
    fractions: np.ndarray
    band_hits: np.ndarray


def sacral_plate(
    sacrum: Crop, disc: Crop, last: Body, slice_mm: float, fractions: np.ndarray
) -> SacralPlate | None:
    """Measure the superior endplate of S1; None where < 60 % of the columns meet the sacrum.

    Parameters
    ----------
    sacrum, disc
        Voxels of the sacrum and of the disc above it.
    last
        The last presacral vertebra; it gives the anterior direction.
    slice_mm
        Distance between slices.
    fractions
        Fractions of the depth at which the band is sampled.
    """
    frame = replace(
        last.frame, origin=disc.centroid_mm, status="ok", superior=None, inferior=None
    ).turned(_disc_normal(disc, last))
    start = frame.s
    for _ in range(_REFINEMENTS):
        places, hits = _footprint_hits(sacrum, disc, frame, (WIDTH_SHARE, DEPTH_SHARE))
        is_hit = np.isfinite(hits)
        if len(hits) < 6 or is_hit.mean() < LEAST_VALID:
            return None
        plane = fit_plane(frame, places[is_hit], hits[is_hit])
        if plane is None or plane.rms_mm > LARGEST_RMS_MM:
            return None
        if angle_deg(plane.normal, start) > LARGEST_TURN_DEG:
            return None
        turned = replace(frame, superior=plane).turned(plane.normal)
        is_settled = angle_deg(turned.s, frame.s) < _STOP_DEG
        frame = turned
        if is_settled:
            break
    if frame.superior is None:
        return None
    return _with_line(sacrum, disc, frame, frame.superior, slice_mm, fractions)


def _disc_normal(disc: Crop, last: Body) -> np.ndarray:
    """Normal of a disc, cranially: of its voxels if it is flat, else of the endplate above."""
    offset = disc.points_mm - disc.centroid_mm
    variance, axes = np.linalg.eigh(offset.T @ offset)
    if variance[0] <= FLATTEST * variance[1]:
        return axes[:, 0] * np.copysign(1.0, axes[:, 0] @ last.frame.s)
    plane = last.plane("inferior")
    return last.frame.s if plane is None else plane.normal


def _footprint_hits(
    sacrum: Crop, disc: Crop, frame: Frame, shares: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Columns through a part of the disc's width and depth, and their first hits of the sacrum."""
    (r, width), (a, depth) = (_span(disc, frame, axis) for axis in (0, 1))
    sides = centred_grid(r, shares[0] * width), centred_grid(a, shares[1] * depth)
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    starts = np.concatenate([places, np.zeros((len(places), 1))], axis=1)
    reach = reach_mm(disc, frame, frame.s)
    low, _ = disc.indicator.crossings(frame.to_world(starts), frame.s, -reach, reach)
    places = places[np.isfinite(low)]
    return places, _first_below(sacrum, frame, places)


def _span(disc: Crop, frame: Frame, axis: int) -> tuple[float, float]:
    """Middle and length of a disc along r (axis 0) or a (axis 1)."""
    starts = np.zeros((3, 3))
    starts[:, 1 - axis] = (-3.0, 0.0, 3.0)
    reach = reach_mm(disc, frame, frame.axes[axis])
    first, last = disc.indicator.crossings(frame.to_world(starts), frame.axes[axis], -reach, reach)
    if np.isnan(first).all():
        along = (disc.points_mm - frame.origin) @ frame.axes[axis]
        first, last = along.min(keepdims=True), along.max(keepdims=True)
    low, high = finite_median(first), finite_median(last)
    return (low + high) / 2, high - low


def _first_below(sacrum: Crop, frame: Frame, places: np.ndarray) -> np.ndarray:
    """First hit s of the sacrum going down from the middle of the disc."""
    starts = np.concatenate([places, np.zeros((len(places), 1))], axis=1)
    _, last = sacrum.indicator.crossings(frame.to_world(starts), frame.s, -_BELOW_MM, 0.0)
    # inside the sacrum already where the columns start: no surface was met
    return np.where(last >= -1e-6, np.nan, last)


def _with_line(
    sacrum: Crop,
    disc: Crop,
    frame: Frame,
    plane: Plane,
    slice_mm: float,
    fractions: np.ndarray,
) -> SacralPlate | None:
    (r, width), (a, depth) = (_span(disc, frame, axis) for axis in (0, 1))
    offsets = r + max(_BAND_SHARE * width, slice_mm / 2) * _OFFSETS
    ends = _ends(sacrum, frame, plane, offsets, a + depth * np.linspace(-0.5, 0.5, _ENDS_N))
    if ends is None:
        return None
    along = ends[0] + (ends[1] - ends[0]) * fractions
    hits = _grid_hits(sacrum, frame, offsets, along)
    chosen = (fractions > LINE_SPAN[0] - 1e-9) & (fractions < LINE_SPAN[1] + 1e-9)
    is_hit = np.isfinite(hits) & chosen[:, None]
    if is_hit[chosen].mean() < LEAST_VALID:
        return None
    x = np.broadcast_to(along[:, None], hits.shape)[is_hit]
    fit = huber_fit(np.column_stack([np.ones(len(x)), x]), hits[is_hit])
    if fit is None:
        return None
    height, slope = fit.coefficients
    a = sum(ends) / 2
    line = Line(frame.to_world([r, a, height + slope * a]), unit(frame.a + slope * frame.s))
    places, column_hits = _footprint_hits(sacrum, disc, frame, (1.0, 1.0))
    length = (ends[1] - ends[0]) * float(np.hypot(1, slope))
    return SacralPlate(frame, plane, line, length, places, column_hits, fractions, hits)


def _ends(
    sacrum: Crop, frame: Frame, plane: Plane, offsets: np.ndarray, along: np.ndarray
) -> tuple[float, float] | None:
    """Posterior and anterior end of the endplate below the disc, which may overhang it."""
    hits = _grid_hits(sacrum, frame, offsets, along)
    height = frame.to_local(plane.point)[2]
    found = []
    for column in hits.T:
        on_plate = along[np.abs(column - height) <= NEAR_PLANE_MM]
        if len(on_plate):
            found.append((on_plate[0], on_plate[-1]))
    if 2 * len(found) < len(offsets):
        return None
    posterior, anterior = np.median(found, axis=0)
    return float(posterior), float(anterior)


def _grid_hits(sacrum: Crop, frame: Frame, offsets: np.ndarray, along: np.ndarray) -> np.ndarray:
    """First hits at places along a (rows) and r (columns), shape (k, n)."""
    grid = np.stack(np.meshgrid(offsets, along, indexing="xy"), axis=-1)
    return _first_below(sacrum, frame, grid.reshape(-1, 2)).reshape(grid.shape[:2])
