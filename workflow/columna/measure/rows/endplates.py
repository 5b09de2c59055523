"""Rows of the table `endplates`: two of each vertebral body, and the superior one of S1."""

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.measure.anatomy.body import SIDES, Body, Line
from columna.measure.anatomy.frame import Plane, unit
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.heights import Hollow, hollow
from columna.measure.anatomy.plate_shape import LEAST_COLUMNS, Surface
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.tools.crops import Crop
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES
from columna.tables.endplates import ENDPLATES
from columna.tables.finish import Missing, finish_row, or_missing
from columna.tables.schema import Row

OUTWARD = {"superior": 1, "inferior": -1}
_FROM_VERTEBRAE = ("vertebra", "level_status", "level", "region", "level_order")


def endplate_rows(anatomy: ScanAnatomy, vertebrae: list[Row]) -> list[Row]:
    """Measure the endplates.

    Parameters
    ----------
    anatomy
        The scan.
    vertebrae
        Naming and ``body_status`` of the vertebrae found: the columns `vertebra`, `level_status`,
        `level`, `region`, `level_order`, `spineps_label`, `body_status`.
    """
    geometry = anatomy.geometry
    rows = []
    for vertebra in vertebrae:
        body = geometry.by_label.get(vertebra["spineps_label"])  # None: a level not seen
        if body is None:
            continue
        named = {k: vertebra.get(k) for k in _FROM_VERTEBRAE}
        for side in SIDES:
            status = _status(body, side, vertebra["body_status"])
            measures = _body_plate(geometry, body, side) if status in SAGITTAL_CODES else {}
            rows.append(named | {"side": side, "endplate_status": status} | measures)
    if geometry.sacrum is not None:
        rows.append(_sacral_row(geometry))
    return [finish_row(ENDPLATES, anatomy.context.identity | row) for row in rows]


def _status(body: Body, side: str, body_status: str) -> str:
    if body_status not in (*SAGITTAL_CODES, "partial_fov"):
        return body_status
    if (side, body.level) == ("superior", "C2"):
        return "not_applicable"
    if side not in body.masks.sides:
        return "partial_fov"
    if body.frame.status != "ok":
        return body.frame.status
    is_fitted = body.plane(side) is not None and side in body.hollows
    return body.fit_status if is_fitted else "fit_failed"


def _body_plate(geometry: Geometry, body: Body, side: str) -> Row:
    plane, line = body.plane(side), body.plate(side)
    if plane is None or line is None:  # `_status` says so
        return {}
    outward, columns = OUTWARD[side], body.footprint
    hits = columns.upper if side == "superior" else columns.lower
    surface = Surface(body.frame, plane, outward, columns.places, hits)
    return {
        **_directions(geometry, body.region, line, plane, outward),
        **_shape(body.hollows[side], plane),
        **_extent(geometry, surface, (body.label, side)),
        **_beyond(body.crop),
        "length_ap_mm": or_missing(_length(body, side), "fit_failed"),
    }


def _directions(
    geometry: Geometry, region: str | None, line: Line, plane: Plane, outward: int
) -> Row:
    """Where an endplate faces."""
    right = geometry.mean_right(region)
    normal = outward * plane.normal
    return {
        "angle_sagittal_deg": sagittal_angle_deg(line.direction, right),
        "tilt_coronal_deg": _tilt_deg(plane.normal, geometry.mean_right(None), geometry.chord),
        **{f"normal_{axis}_ratio": value for axis, value in zip("ras", normal, strict=True)},
    }


def sagittal_angle_deg(direction: np.ndarray, right: np.ndarray) -> float:
    """Angle of an anterior `direction` above the scanner's AP axis, seen along `right`."""
    anterior = np.array([0.0, 1.0, 0.0])
    anterior = unit(anterior - (anterior @ right) * right)
    # r = a x s, so s = r x a
    return float(
        np.rad2deg(np.arctan2(direction @ np.cross(right, anterior), direction @ anterior))
    )


def _tilt_deg(normal: np.ndarray, right: np.ndarray, chord: np.ndarray) -> float:
    """Tilt of a plane against the spine's chord in the coronal plane, + = right side down."""
    across = unit(right - (right @ chord) * chord)
    return float(np.rad2deg(np.arctan2(normal @ across, normal @ chord)))


def _length(body: Body, side: str) -> float | None:
    posterior, anterior = (body.corner(side, wall) for wall in ("posterior", "anterior"))
    if posterior is None or anterior is None:
        return None
    return float(np.linalg.norm(anterior - posterior))


def _shape(shape: Hollow, plane: Plane) -> Row:
    return {
        "concavity_mm": shape.depth_mm,
        "concavity_position_ratio": shape.position,
        "plane_rms_mm": plane.rms_mm,
    }


def _beyond(crop: Crop) -> Row:
    """What is not measured of an endplate that is cut at a side, whatever was found of it."""
    if not crop.is_lateral_cut:
        return {}
    names = ("tilt_coronal_deg", "focal_depression_mm", "area_mm2")
    normal = (f"normal_{axis}_ratio" for axis in "ras")
    return dict.fromkeys((*names, *normal), Missing(LATERAL_CUT))


def _extent(geometry: Geometry, surface: Surface, key: tuple[int, str]) -> Row:
    """What is measured over all columns of an endplate; `key` names its voxels."""
    surface = surface.near_plane()
    if len(surface.hits) < LEAST_COLUMNS:
        return dict.fromkeys(("extent_status", "coverage_status"), "too_few_voxels")
    row: Row = {
        "focal_depression_mm": surface.focal_depression_mm(),
        "area_mm2": surface.area_mm2,
    }
    if geometry.endplate_mask is None:
        return row | {"coverage_status": "not_segmented"}
    plate = geometry.endplates.get(key)
    if plate is None:
        return row | {"coverage_ratio": 0.0, "thickness_status": "not_segmented"}
    thickness, coverage = surface.cover(plate)
    return row | {
        "coverage_ratio": coverage,
        "thickness_mm": or_missing(thickness, "too_few_voxels"),
    }


def _sacral_row(geometry: Geometry) -> Row:
    s1 = levels()[SACRUM]
    row: Row = {
        "vertebra": s1.name,
        "level": s1.name,
        "region": Missing("not_applicable"),
        "level_order": s1.level_order,
        "side": "superior",
    }
    end = geometry.sacral_end
    if isinstance(end, Missing):
        return row | {"endplate_status": end.code}
    plate = end.value
    shape = hollow(plate.fractions, plate.fractions * plate.length_mm, plate.band_hits, 1)
    if shape is None:
        return row | {"endplate_status": "fit_failed"}
    is_hit = np.isfinite(plate.hits)
    surface = Surface(plate.frame, plate.plane, 1, plate.places[is_hit], plate.hits[is_hit])
    return row | {
        "endplate_status": end.code,
        **_directions(geometry, geometry.bodies[-1].region, plate.line, plate.plane, 1),
        **_shape(shape, plate.plane),
        **_extent(geometry, surface, (SACRUM, "superior")),
        **_beyond(geometry.discs[geometry.bodies[-1].label].crop),
        "length_ap_mm": plate.length_mm,
    }
