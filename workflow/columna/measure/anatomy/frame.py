"""One frame per vertebra, from its endplates (docs/measures.md#g3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from columna.measure.anatomy.lateral import LEAST_DEPTHS, canal_behind
from columna.measure.tools.crops import Crop
from columna.measure.tools.curve import SpineCurve
from columna.measure.tools.robust import finite_median, huber_fit

COLUMN_MM = 1.0
"""Distance between the columns that find the endplates."""
WIDTH_SHARE, DEPTH_SHARE = 0.60, 0.76
"""Central part of a body whose columns make the planes."""
LEAST_VALID = 0.60
LARGEST_RMS_MM = 1.5
LARGEST_TURN_DEG = 30.0
LEAST_VOXELS = 30
_STOP_DEG = 0.1
_REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane fitted to one endplate.

    Parameters
    ----------
    point
        The place of the plane on the frame's axis s, RAS+ mm, shape (3,).
    normal
        Unit vector, pointing cranially for both endplates, shape (3,).
    rms_mm
        Root mean square of the residuals along s.
    """

    point: np.ndarray
    normal: np.ndarray
    rms_mm: float


@dataclass(frozen=True, eq=False)
class Frame:
    """Axes of a vertebra: r to the patient's right, a to anterior, s to superior; r = a x s.

    Parameters
    ----------
    origin
        Centroid of the body, RAS+ mm, shape (3,).
    r, a, s
        Unit vectors, RAS+, shape (3,) each.
    own_a
        Anterior direction before it was smoothed over neighbours.
    source
        Where anterior comes from: ``canal``, ``arch`` or ``image``.
    status
        ``ok``, ``fit_failed``, ``too_few_voxels`` or ``partial_fov`` (too little is seen on both
        sides of the middle); if not ok, the axes are the curve's and there are no planes.
    superior, inferior
        Planes of the endplates; None where the fit failed or the endplate cannot be seen (cut
        off, or the dens of C2 is on it).
    valid_ratio
        Share of the columns that met the body, in the last fit.
    """

    origin: np.ndarray
    r: np.ndarray
    a: np.ndarray
    s: np.ndarray
    own_a: np.ndarray
    source: str
    status: str = "ok"
    superior: Plane | None = None
    inferior: Plane | None = None
    valid_ratio: float = 0.0

    @property
    def axes(self) -> np.ndarray:
        """Rows r, a, s."""
        return np.stack([self.r, self.a, self.s])

    def to_local(self, points_mm: ArrayLike) -> np.ndarray:
        """RAS+ mm, shape (..., 3), to (r, a, s) in mm from the origin."""
        return (np.asarray(points_mm, float) - self.origin) @ self.axes.T

    def to_world(self, local_mm: ArrayLike) -> np.ndarray:
        """(r, a, s) in mm from the origin, shape (..., 3), to RAS+ mm."""
        return self.origin + np.asarray(local_mm, float) @ self.axes

    def turned(self, s: np.ndarray) -> "Frame":
        """The frame with `s` as its upward axis; a stays as near as it can."""
        a = unit(self.a - (self.a @ s) * s)
        return replace(self, r=np.cross(a, s), a=a, s=s)


class BodyMask(Protocol):
    """What a frame is made from."""

    @property
    def body(self) -> Crop:
        """Voxels of the body."""

    @property
    def arch(self) -> Crop | None:
        """Voxels of arch and processes."""

    @property
    def sides(self) -> tuple[str, ...]:
        """Endplates that can be seen: ``superior``, ``inferior``."""


def fit_frames(
    bodies: Sequence[BodyMask], curve: SpineCurve, canal_mm: np.ndarray
) -> tuple[Frame, ...]:
    """Make the frames of `bodies`, which are in craniocaudal order.

    Parameters
    ----------
    bodies
        Bodies with at least one voxel each.
    curve
        The spine's curve.
    canal_mm
        Voxel centres of the spinal canal, RAS+, shape (n, 3).
    """
    first = [_first_frame(body, curve, canal_mm) for body in bodies]
    is_cut = np.array([body.body.is_lateral_cut for body in bodies])
    anterior = _smoothed([frame.own_a for frame in first], is_cut)
    frames = []
    for body, frame, a in zip(bodies, first, anterior, strict=True):
        frames.append(_refined(body, replace(frame, a=a).turned(frame.s)))
    return tuple(frames)


def unit(vector: np.ndarray) -> np.ndarray:
    """`vector` with length 1, along its last axis."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two vectors, 0 to 180."""
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))


def _first_frame(body: BodyMask, curve: SpineCurve, canal_mm: np.ndarray) -> Frame:
    """Upwards from the curve, anterior away from the canal."""
    origin = body.body.centroid_mm
    s = curve.tangent(curve.nearest(origin))
    behind, source = canal_behind(origin, s, canal_mm), "canal"
    if behind is None and body.arch is not None:
        behind, source = body.arch.centroid_mm, "arch"
    if behind is None:
        behind, source = origin - body.body.affine[:3, 1], "image"
    away = origin - behind
    away = away - (away @ s) * s
    a = unit(away) if np.linalg.norm(away) > 1e-6 else _any_anterior(s)
    return Frame(origin, np.cross(a, s), a, s, own_a=a, source=source)


def _any_anterior(s: np.ndarray) -> np.ndarray:
    anterior = np.array([0.0, 1.0, 0.0])
    return unit(anterior - (anterior @ s) * s)


def _smoothed(anterior: list[np.ndarray], is_cut: np.ndarray) -> list[np.ndarray]:
    """Average with the neighbours, 1/4, 1/2, 1/4: one level's rotation is noisy at 3.3 mm.

    Bodies that are cut at a side know little of their rotation: they count among themselves only.
    """
    smoothed = []
    for i in range(len(anterior)):
        near = [j for j in (i - 1, i, i + 1) if 0 <= j < len(anterior)]
        near = [j for j in near if not is_cut[j]] or near
        weights = [0.5 if j == i else 0.25 for j in near]
        weighted = (w * anterior[j] for w, j in zip(weights, near, strict=True))
        smoothed.append(unit(sum(weighted, np.zeros(3))))
    return smoothed


def _refined(body: BodyMask, frame: Frame) -> Frame:
    """Turn a frame until its axis s is the mean normal of the endplates."""
    if body.body.voxels_n < LEAST_VOXELS:
        return replace(frame, status="too_few_voxels")
    if is_too_narrow(body.body, frame):
        return replace(frame, status="partial_fov")
    if not body.sides:
        return frame
    start = frame
    for _ in range(_REFINEMENTS):
        fitted = _with_planes(body, frame)
        if fitted is None or angle_deg(_mean_normal(fitted), start.s) > LARGEST_TURN_DEG:
            return replace(start, status="fit_failed")
        frame = fitted.turned(_mean_normal(fitted))
        if angle_deg(frame.s, fitted.s) < _STOP_DEG:
            break
    return frame


def is_too_narrow(crop: Crop, frame: Frame) -> bool:
    """Whether too little of a structure that is cut at a side is seen around its middle."""
    if not crop.is_lateral_cut:
        return False
    across, along = (_span(crop, frame, axis) for axis in (0, 1))
    if across is None or along is None:
        return True
    width, depth = (high - low for low, high in (across, along))
    return width < LEAST_DEPTHS * depth


def _mean_normal(frame: Frame) -> np.ndarray:
    planes = (frame.superior, frame.inferior)
    return unit(sum((p.normal for p in planes if p is not None), np.zeros(3)))


def _with_planes(body: BodyMask, frame: Frame) -> Frame | None:
    """Fit the planes of the visible endplates along s; None if that fails."""
    places = central_columns(body.body, frame)
    if places is None:
        return None
    lower, upper = cast_columns(body.body, frame, places)
    is_valid = np.isfinite(upper)
    planes: dict[str, Plane] = {}
    for side, hits in (("superior", upper), ("inferior", lower)):
        if side in body.sides:
            plane = fit_plane(frame, places[is_valid], hits[is_valid])
            if plane is None or plane.rms_mm > LARGEST_RMS_MM:
                return None
            planes[side] = plane
    if is_valid.mean() < LEAST_VALID:
        return None
    return replace(
        frame,
        superior=planes.get("superior"),
        inferior=planes.get("inferior"),
        valid_ratio=float(is_valid.mean()),
    )


def central_columns(body: Crop, frame: Frame) -> np.ndarray | None:
    """Places (r, a) of a 1 mm grid over the central part of `body`, shape (n, 2)."""
    across, along = (_span(body, frame, axis) for axis in (0, 1))
    if across is None or along is None:
        return None
    sides = [
        centred_grid((low + high) / 2, share * (high - low))
        for (low, high), share in ((across, WIDTH_SHARE), (along, DEPTH_SHARE))
    ]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)


def centred_grid(middle: float, length: float, step: float = COLUMN_MM) -> np.ndarray:
    """Places `step` apart, symmetrical about `middle`, that fill `length`; at least one."""
    n = max(int(np.floor(length / step + 1e-6)), 1)
    return middle + step * (np.arange(n) - (n - 1) / 2)


def _span(body: Crop, frame: Frame, axis: int) -> tuple[float, float] | None:
    """Extent of the body through its centroid along r (axis 0) or a (axis 1): median of rays."""
    other = 1 - axis
    starts = np.zeros((9, 3))
    starts[:, other] = np.repeat([-3.0, 0.0, 3.0], 3)
    starts[:, 2] = np.tile([-2.0, 0.0, 2.0], 3)
    reach = reach_mm(body, frame, frame.axes[axis])
    first, last = body.indicator.crossings(frame.to_world(starts), frame.axes[axis], -reach, reach)
    if np.isnan(first).all():
        return None
    return finite_median(first), finite_median(last)


def reach_mm(body: Crop, frame: Frame, direction: np.ndarray) -> float:
    """Distance along `direction` from the frame's origin that leaves the body on both sides."""
    voxel = float(np.abs(body.affine[:3, :3].T @ direction).sum())
    return float(np.abs((body.points_mm - frame.origin) @ direction).max()) + voxel


def cast_columns(body: Crop, frame: Frame, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper hit, s in mm from the origin, of columns at `places` (r, a), shape (n, 2).

    NaN where a column misses the body, or leaves it through a side that is cut.
    """
    starts = frame.to_world(np.concatenate([places, np.zeros((len(places), 1))], axis=1))
    reach = reach_mm(body, frame, frame.s)
    lower, upper = body.indicator.crossings(starts, frame.s, -reach, reach)
    if body.is_lateral_cut:
        ends = (starts + hit[:, None] * frame.s for hit in (lower, upper))
        is_seen = np.logical_and(*(body.is_known(end) for end in ends))
        lower, upper = (np.where(is_seen, hit, np.nan) for hit in (lower, upper))
    return lower, upper


def fit_plane(frame: Frame, places: np.ndarray, hits: np.ndarray) -> Plane | None:
    """Plane through hits s at places (r, a) of a frame; None with too few hits."""
    fit = huber_fit(np.column_stack([np.ones(len(places)), places]), hits)
    if fit is None:
        return None
    height, along_r, along_a = fit.coefficients
    normal = unit(np.array([-along_r, -along_a, 1.0])) @ frame.axes
    return Plane(frame.to_world([0.0, 0.0, height]), normal, fit.rms)
