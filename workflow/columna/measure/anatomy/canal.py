"""Spinal canal and cord in planes perpendicular to the canal (docs/measures.md#g11)."""

from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.frame import unit
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.visibility import weakest
from columna.measure.tools.crops import Crop
from columna.measure.tools.curve import SpineCurve
from columna.measure.tools.sampling import INSIDE
from columna.measure.tools.sections import Planes, Sections, window
from columna.tables.common import LATERAL_CUT

LEAST_SHARE = 0.95
"""A plane is valid if one component covers so much of its area."""
EDGE_VOXELS = 1.0
"""A plane is valid if its section is farther than this from the edge of the field of view."""
RESIDUAL_MM = 0.5
"""Centroids of the canal scatter by about this much at 3.3 mm slices."""
CUT_SHARE = 0.8
"""Sections at the ends of the mask smaller than this, beside the next four, are cut by the end."""
_SEARCH_STEP_MM = 3.0
_SEARCH_GRID_MM = 1.5
_BEYOND_MM = 15.0
_FIRST_WINDOW = (np.arange(-30.0, 30.1, _SEARCH_GRID_MM), np.arange(-60.0, 20.1, _SEARCH_GRID_MM))
_SECOND_WINDOW = (np.arange(-30.0, 30.1, _SEARCH_GRID_MM), np.arange(-21.0, 21.1, _SEARCH_GRID_MM))


@dataclass(frozen=True, eq=False)
class SectionMeasures:
    """Canal and cord in n planes, shape (n,) each; NaN where there is no cord.

    `u` are the planes' places on the canal's centre line, ascending, and `centre_mm`, shape (n, 3),
    their points there. Of a canal that
    is ``lateral_cut``, areas and left-right diameters are those of what is seen.
    """

    u: np.ndarray
    centre_mm: np.ndarray
    canal_status: tuple[str, ...]
    canal_area_mm2: np.ndarray
    canal_ap_mm: np.ndarray
    canal_rl_mm: np.ndarray
    angle_deg: np.ndarray
    has_cord: np.ndarray
    is_cord_cut: np.ndarray
    cord_area_mm2: np.ndarray
    cord_ap_mm: np.ndarray
    cord_rl_mm: np.ndarray
    anterior_csf_mm: np.ndarray
    posterior_csf_mm: np.ndarray

    @property
    def code(self) -> str:
        """Status code of the canal over all planes."""
        codes = sorted(set(self.canal_status))
        return "partial_fov" if "partial_fov" in codes else weakest(*codes)

    @property
    def slab_mm(self) -> float:
        """Distance between the first and the last plane."""
        return float(self.u[-1] - self.u[0])


@dataclass(frozen=True, eq=False)
class Canal:
    """The canal of a scan, ready to be cut.

    Parameters
    ----------
    canal, cord
        All voxels of the canal (labels 60 and 61), and of the cord (60). Not only their largest
        components: a gap must not take half of the canal with it.
    line
        Its centre line.
    turns_u, turns
        Places on `line`, ascending, shape (k,), and the anterior directions there, shape (k, 3).
    reach_u, reach_mm
        Places on `line`, shape (m,), and how far the canal reaches there along r and a, (m, 2).
    fov, to_index
        The field of view, and RAS+ mm to its array indices, 4x4.
    band_mm
        Half the distance between slices.
    """

    canal: Crop
    cord: Crop | None
    line: SpineCurve
    turns_u: np.ndarray
    turns: np.ndarray
    reach_u: np.ndarray
    reach_mm: np.ndarray
    fov: FieldOfView
    to_index: np.ndarray
    band_mm: float

    @classmethod
    def of(cls, geometry: Geometry, fov: FieldOfView, affine: np.ndarray) -> "Canal | None":
        """Find the centre line in two passes; None without canal or bodies.

        Parameters
        ----------
        geometry
            Of the scan.
        fov, affine
            Its field of view, and voxel index to RAS+ mm.
        """
        if geometry.canal is None or geometry.curve is None or not geometry.bodies:
            return None
        line, turns_u, turns = geometry.curve, *_turns(geometry, geometry.curve)
        for places in (_FIRST_WINDOW, _SECOND_WINDOW):
            centres, reach = _centres(geometry.canal, line, turns_u, turns, places)
            if len(centres) < 2:
                return None
            line = SpineCurve.fit(centres, RESIDUAL_MM)
            turns_u, turns = _turns(geometry, line)
        return cls(
            canal=geometry.canal,
            cord=geometry.cord,
            line=line,
            turns_u=turns_u,
            turns=turns,
            reach_u=line.nearest(centres),
            reach_mm=reach,
            fov=fov,
            to_index=np.linalg.inv(affine),
            band_mm=geometry.slice_mm / 2,
        )

    def measure(self, u: np.ndarray) -> SectionMeasures:
        """Cut at places `u` of the centre line, shape (n,)."""
        planes = _planes(self.line, u, self.turns_u, self.turns)
        near = (self.reach_u >= u.min() - 6.0) & (self.reach_u <= u.max() + 6.0)
        reach_r, reach_a = self.reach_mm[near].max(axis=0, initial=6.0) + 2 * _SEARCH_GRID_MM
        canal = Sections.of(self.canal.indicator, planes, *window(reach_r, reach_a))
        superior = np.cross(planes.right, planes.anterior)
        status = self._status(canal, planes)
        return SectionMeasures(
            u=u,
            centre_mm=planes.centre,
            canal_status=tuple(status),
            canal_area_mm2=canal.area_mm2,
            canal_ap_mm=self._ap_mm(canal, status == LATERAL_CUT),
            canal_rl_mm=canal.rl_mm,
            angle_deg=np.rad2deg(np.arccos(np.clip(superior[:, 2], -1, 1))),
            **self._cord(canal, planes),
        )

    def _status(self, canal: Sections, planes: Planes) -> np.ndarray:
        codes = np.full(len(planes.centre), "ok", dtype=object)
        codes[canal.share < LEAST_SHARE] = "fit_failed"
        codes[canal.share == 0] = "not_segmented"
        is_cut = (codes == "ok") & self._is_near(canal, planes, "LR")
        if is_cut.any():
            _, has_middle = canal.deepest_r(2 * self.band_mm)
            codes[is_cut] = np.where(has_middle[is_cut], LATERAL_CUT, "partial_fov")
        codes[self._is_near(canal, planes, "SIAP")] = "partial_fov"
        return codes

    def _is_near(self, sections: Sections, planes: Planes, faces: str) -> np.ndarray:
        """Whether a section comes too near to one of some faces of the field of view."""
        index = sections.corners(planes) @ self.to_index[:3, :3].T + self.to_index[:3, 3]
        return self.fov.depth_voxels(index, faces).min(axis=0) < EDGE_VOXELS

    def _ap_mm(self, canal: Sections, is_cut: np.ndarray) -> np.ndarray:
        """Diameter in the middle: about the centroid, or where a canal that is cut is deepest."""
        middle_r = canal.centroid[0]
        if is_cut.any():
            middle_r = np.where(is_cut, canal.deepest_r(2 * self.band_mm)[0], middle_r)
        return canal.ap_mm(self.band_mm, middle_r)

    def _cord(self, canal: Sections, planes: Planes) -> dict[str, np.ndarray]:
        missing = np.full(len(planes.centre), np.nan)
        names = ("cord_area_mm2", "cord_ap_mm", "cord_rl_mm", "anterior_csf_mm", "posterior_csf_mm")
        if self.cord is None:
            nowhere = np.zeros(len(missing), bool)
            return {"has_cord": nowhere, "is_cord_cut": nowhere} | dict.fromkeys(names, missing)
        cord = Sections.of(self.cord.indicator, planes, *canal.inner_window())
        has_cord = cord.share >= LEAST_SHARE
        is_cut = has_cord & self._is_near(cord, planes, "LR")
        canal_walls, cord_walls = (s.walls_at(cord.centroid[0]) for s in (canal, cord))
        values = (
            cord.area_mm2,
            cord.ap_mm(self.band_mm),
            cord.rl_mm,
            np.maximum(canal_walls[1] - cord_walls[1], 0.0),
            np.maximum(cord_walls[0] - canal_walls[0], 0.0),
        )
        return {"has_cord": has_cord, "is_cord_cut": is_cut} | {
            name: np.where(has_cord, value, np.nan)
            for name, value in zip(names, values, strict=True)
        }


def _turns(geometry: Geometry, line: SpineCurve) -> tuple[np.ndarray, np.ndarray]:
    """Places on `line` beside the bodies, ascending, and the bodies' anterior directions."""
    u = line.nearest(np.array([body.frame.origin for body in geometry.bodies]))
    order = np.argsort(u, kind="stable")
    return u[order], np.array([body.frame.a for body in geometry.bodies])[order]


def _planes(line: SpineCurve, u: np.ndarray, turns_u: np.ndarray, turns: np.ndarray) -> Planes:
    """Planes perpendicular to `line` at `u`; anterior is interpolated between the bodies."""
    superior = line.tangent(u)
    anterior = np.stack([np.interp(u, turns_u, turn) for turn in turns.T], axis=1)
    anterior = unit(anterior - (anterior * superior).sum(axis=1, keepdims=True) * superior)
    return Planes(line.at(u), np.cross(anterior, superior), anterior)


def _centres(
    canal: Crop,
    line: SpineCurve,
    turns_u: np.ndarray,
    turns: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Centroids of the canal in coarse planes along `line`, and its reach in each.

    Returns
    -------
    tuple of np.ndarray
        Of the k planes that meet the canal: centroids, RAS+ mm, shape (k, 3), and the largest
        distance from the centroid along r and a, shape (k, 2).
    """
    first, last = turns_u[0] - _BEYOND_MM, turns_u[-1] + 2 * _BEYOND_MM
    u = np.linspace(first, last, int(np.ceil((last - first) / _SEARCH_STEP_MM)) + 1)
    planes = _planes(line, u, turns_u, turns)
    r, a = places
    inside = planes.sample(canal.indicator, r, a) >= INSIDE
    count = inside.sum(axis=(1, 2))
    hit = _whole(count)
    inside, count = inside[hit], count[hit]
    centre_r = (inside.sum(axis=2) * r).sum(axis=1) / count
    centre_a = (inside.sum(axis=1) * a).sum(axis=1) / count
    reach_r = (np.abs(r - centre_r[:, None]) * inside.any(axis=2)).max(axis=1, initial=0)
    reach_a = (np.abs(a - centre_a[:, None]) * inside.any(axis=1)).max(axis=1, initial=0)
    planes = Planes(planes.centre[hit], planes.right[hit], planes.anterior[hit])
    centres = planes.at(centre_r, centre_a)
    return centres, np.stack([reach_r, reach_a], axis=1)


def _whole(count: np.ndarray) -> np.ndarray:
    """Planes that meet the canal, without those at the ends that its end cuts off."""
    hit = np.flatnonzero(count > 2)
    while len(hit) > 4 and count[hit[0]] < CUT_SHARE * np.median(count[hit[1:5]]):
        hit = hit[1:]
    while len(hit) > 4 and count[hit[-1]] < CUT_SHARE * np.median(count[hit[-5:-1]]):
        hit = hit[:-1]
    return hit
