"""A disc in its own frame, and columns through it and its neighbours (docs/measures.md#g9)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from columna.measure.anatomy.band import LEAST_VALID, OFFSETS_N, WIDTH_SHARE, through_plane_axis
from columna.measure.anatomy.body import Body
from columna.measure.anatomy.frame import Frame, Plane, is_too_narrow, reach_mm, unit
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.spaces import Space
from columna.measure.tools.crops import Crop

BANDS = {
    "anterior": (0.80, 0.84, 0.88),
    "middle": (0.44, 0.50, 0.56),
    "posterior": (0.12, 0.16, 0.20),
}
"""Fractions of the disc's depth, from behind, whose columns make each height."""
_FRACTIONS = np.array(
    [0.12, 0.16, 0.20, 0.26, 0.32, 0.38, 0.44, 0.50, 0.56, 0.62, 0.68, 0.74, 0.80, 0.84, 0.88]
)
FLATTEST = 0.35
"""Discs up to this ratio of the smallest to the middle variance have a normal of their own."""
LEAST_VOXELS = 30
LEAST_SLICES = 4
LARGEST_REST_MM = 8.0
"""More space than this between the bodies beside the disc: they are no neighbours."""
_ROWS_MM = np.array([-0.5, 0.0, 0.5])
_AROUND_MM = 8.0


@dataclass(frozen=True, eq=False)
class Interspace:
    """A disc in its frame, with columns through it; lengths in mm from the frame's origin.

    Parameters
    ----------
    space
        What lies above and below.
    frame
        s is the mean normal of the neighbouring endplates; origin = centroid of the disc.
    middle_s
        Middle of the disc's thickness.
    offsets_r
        Places of the columns along r, shape (7,).
    posterior_a, depth_mm, width_mm
        Posterior end and size of the disc along a and r; width None with < 4 slices.
    crop
        Voxels of the disc.
    disc
        Its lower and upper surface by fraction and offset, shape (2, k, 7); NaN = no hit.
    lower_crop
        Voxels of the bone below; None without a neighbour.
    """

    space: Space
    frame: Frame
    middle_s: float
    offsets_r: np.ndarray
    posterior_a: float
    depth_mm: float
    width_mm: float | None
    crop: Crop
    disc: np.ndarray
    lower_crop: Crop | None

    @property
    def reach_s(self) -> float:
        """How far from the middle neighbouring surfaces are searched."""
        return float(np.nanmax(np.abs(self.disc - self.middle_s))) + _AROUND_MM

    def starts(self) -> np.ndarray:
        """Points of the columns at the middle of the disc, RAS+, shape (k * 7, 3)."""
        a = self.posterior_a + self.depth_mm * _FRACTIONS
        return _grid(self.frame, self.offsets_r, a, self.middle_s)

    @cached_property
    def gap(self) -> np.ndarray | None:
        """Surfaces of the bodies below and above on the same columns, as `disc`."""
        lower, upper = self.lower_crop, self.space.upper
        if lower is None or upper is None:
            return None
        starts, axis, reach = self.starts(), self.frame.s, self.reach_s
        ceiling, _ = upper.crop.indicator.crossings(starts, axis, -_AROUND_MM / 2, reach)
        _, floor = lower.indicator.crossings(starts, axis, -reach, _AROUND_MM / 2)
        # a body that is there already where the search begins has no surface here
        ceiling = np.where(ceiling <= -_AROUND_MM / 2, np.nan, ceiling)
        floor = np.where(floor >= _AROUND_MM / 2, np.nan, floor)
        return np.stack([floor, ceiling]).reshape(self.disc.shape) + self.middle_s

    @property
    def is_neighbour(self) -> bool:
        """Whether the disc about fills the space; where a vertebra was missed, it does not."""
        if self.gap is None:
            return False
        rest = np.diff(self.gap, axis=0) - np.diff(self.disc, axis=0)
        return bool(np.isfinite(rest).any() and np.nanmedian(rest) <= LARGEST_REST_MM)

    def plate_thickness_mm(self, plate: Crop | None) -> float | None:
        """Thickness of an endplate on the middle columns; None without hits."""
        if plate is None:
            return None
        reach = self.reach_s
        low, high = plate.indicator.crossings(self.starts(), self.frame.s, -reach, reach)
        thickness = (high - low).reshape(self.disc.shape[1:])[_in_band("middle")]
        return float(np.nanmedian(thickness)) if np.isfinite(thickness).any() else None


def heights_mm(surfaces: np.ndarray) -> dict[str, float] | None:
    """Heights between lower and upper surfaces, shape (2, k, 7); None with < 60 % hits.

    Medians by band, and the mean of all columns.
    """
    thickness = surfaces[1] - surfaces[0]
    found = {}
    for name in BANDS:
        band = thickness[_in_band(name)]
        if np.isfinite(band).mean() < LEAST_VALID:
            return None
        found[name] = float(np.nanmedian(band))
    return found | {"mean": float(np.nanmean(thickness))}


def is_narrow(space: Space, crop: Crop) -> bool:
    """Whether too little of a disc, `crop`, that is cut off at a side is seen around its middle."""
    frame = _frame(space, crop)
    return frame is None or is_too_narrow(crop, frame)


def fit_interspace(space: Space, crop: Crop, geometry: Geometry) -> Interspace | None:
    """Find the frame and the outline of a disc, `crop`; None where that fails."""
    frame = _frame(space, crop)
    if frame is None:
        return None
    span = _width(crop, frame)
    if span is None:
        return None
    middle_r, width = span
    half = max(WIDTH_SHARE * width, geometry.slice_mm / 2)
    offsets = _middle(space, frame, middle_r) + half * np.linspace(-1, 1, OFFSETS_N)
    middle_s = _middle_height(crop, frame, offsets)
    if middle_s is None:
        return None
    walls = _walls(crop, frame, offsets, middle_s)
    if walls is None:
        return None
    posterior, anterior = walls
    depth = anterior - posterior
    starts = _grid(frame, offsets, posterior + depth * _FRACTIONS, 0.0)
    reach = reach_mm(crop, frame, frame.s)
    surfaces = np.stack(crop.indicator.crossings(starts, frame.s, -reach, reach))
    return Interspace(
        space=space,
        frame=frame,
        middle_s=middle_s,
        offsets_r=offsets,
        posterior_a=posterior,
        depth_mm=depth,
        width_mm=width if _slices_n(crop) >= LEAST_SLICES else None,
        crop=crop,
        disc=surfaces.reshape(2, len(_FRACTIONS), OFFSETS_N),
        lower_crop=_lower_crop(space, geometry),
    )


def _lower_crop(space: Space, geometry: Geometry) -> Crop | None:
    if space.lower is None:
        return None
    return space.lower.crop if isinstance(space.lower, Body) else geometry.sacrum


def _frame(space: Space, crop: Crop) -> Frame | None:
    """The frame between the neighbours; s from their endplates, else from the disc itself."""
    near = [bone for bone in (space.upper, space.lower) if bone is not None]
    if not near:
        return None
    normal = _normal(crop, _planes(space), near[0].frame.s)
    if normal is None:
        return None
    anterior = sum((bone.frame.a for bone in near), np.zeros(3))
    return replace(near[0].frame, origin=crop.centroid_mm, a=anterior).turned(normal)


def _planes(space: Space) -> list[Plane]:
    """Planes of the endplates that border the disc."""
    return [plane for plane in (upper_plane(space), lower_plane(space)) if plane is not None]


def upper_plane(space: Space) -> Plane | None:
    """Plane of the endplate above a disc."""
    return None if space.upper is None else space.upper.plane("inferior")


def lower_plane(space: Space) -> Plane | None:
    """Plane of the endplate below a disc."""
    if isinstance(space.lower, Body):
        return space.lower.plane("superior")
    return None if space.lower is None else space.lower.plane


def _normal(crop: Crop, planes: list[Plane], cranial: np.ndarray) -> np.ndarray | None:
    """Normal of a disc: mean of both endplates, or of its voxels if flat, or of one endplate."""
    if len(planes) == 2:
        return unit(planes[0].normal + planes[1].normal)
    offset = crop.points_mm - crop.centroid_mm
    variance, axes = np.linalg.eigh(offset.T @ offset)
    if variance[0] <= FLATTEST * variance[1]:
        return axes[:, 0] * np.copysign(1.0, axes[:, 0] @ cranial)
    return planes[0].normal if planes else None


def _width(crop: Crop, frame: Frame) -> tuple[float, float] | None:
    """Middle and length of the disc along r."""
    starts = frame.to_world([[0.0, a, s] for a in (-3.0, 0.0, 3.0) for s in _ROWS_MM])
    reach = reach_mm(crop, frame, frame.r)
    left, right = crop.indicator.crossings(starts, frame.r, -reach, reach)
    if np.isfinite(left).mean() < LEAST_VALID:
        return None
    return float(np.nanmedian((left + right) / 2)), float(np.nanmedian(right - left))


def _middle(space: Space, frame: Frame, own: float) -> float:
    """Mid-sagittal plane: half-way between the middles of the neighbours, else the disc's `own`."""
    bodies = [b for b in (space.upper, space.lower) if isinstance(b, Body)]
    middles = [
        float(frame.to_local(b.frame.to_world([b.band.middle_r, 0, b.band.middle_s]))[0])
        for b in bodies
        if b.band is not None
    ]
    return float(np.mean(middles)) if len(middles) == 2 else own


def _middle_height(crop: Crop, frame: Frame, offsets: np.ndarray) -> float | None:
    """Middle of the thickness in the middle of the disc."""
    reach = reach_mm(crop, frame, frame.s)
    starts = _grid(frame, offsets, np.array([-2.0, 0.0, 2.0]), 0.0)
    low, high = crop.indicator.crossings(starts, frame.s, -reach, reach)
    return float(np.nanmedian((low + high) / 2)) if np.isfinite(low).any() else None


def _walls(
    crop: Crop, frame: Frame, offsets: np.ndarray, middle_s: float
) -> tuple[float, float] | None:
    """Posterior and anterior end of the disc along a, at the middle of its thickness."""
    r, s = (x.reshape(-1) for x in np.meshgrid(offsets, middle_s + _ROWS_MM, indexing="ij"))
    starts = frame.to_world(np.stack([r, np.zeros(len(r)), s], axis=1))
    reach = reach_mm(crop, frame, frame.a)
    first, last = crop.indicator.crossings(starts, frame.a, -reach, reach)
    if np.isfinite(first).mean() < LEAST_VALID:
        return None
    return float(np.nanmedian(first)), float(np.nanmedian(last))


def _grid(frame: Frame, r: np.ndarray, a: np.ndarray, s: float) -> np.ndarray:
    """Points at all pairs of a (slow) and r (fast), RAS+, shape (len(a) * len(r), 3)."""
    a, r = (x.reshape(-1) for x in np.meshgrid(a, r, indexing="ij"))
    return frame.to_world(np.stack([r, a, np.full(len(a), s)], axis=1))


def _in_band(name: str) -> np.ndarray:
    return np.isin(_FRACTIONS, BANDS[name])


def _slices_n(crop: Crop) -> int:
    """Native slices that hold voxels of the disc."""
    others = tuple(i for i in range(3) if i != through_plane_axis(crop.affine))
    return int(crop.mask.any(axis=others).sum())
