"""Shape and direction of one vertebral body, as columns (docs/measures.md)."""

from collections.abc import Sequence

import numpy as np

from columna.measure.anatomy.band import Band
from columna.measure.anatomy.body import SIDES, Body
from columna.measure.anatomy.frame import Frame
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.heights import BANDS, side_height_mm
from columna.measure.anatomy.tissue import Tissue, ratio
from columna.measure.tools.robust import finite_median
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import Missing, or_missing
from columna.tables.schema import Row

LEAST_SLICES_SIDE = 3
LEAST_SLICES_WIDTH = 4
_CONTACT_MM = 1.0
_CONTACT_SHARE = 0.2
_INSET_MM = 2.0


SHAPE_STATUSES = ("frame_status", "heights_status", "signal_status")
_C2 = "C2"
_ACROSS = (
    "width_mm",
    "height_left_mm",
    "height_right_mm",
    "lateral_wedge_deg",
)


def shape_rows(geometry: Geometry, tissue: Tissue | None, body: Body) -> Row:
    """Columns of frame, heights and signal of a body, with their statuses.

    Parameters
    ----------
    geometry, tissue
        Of the scan; `tissue` is None without an image.
    body
        The body.
    """
    if not body.has_middle:
        return dict.fromkeys(SHAPE_STATUSES, body.status)
    return (
        _frame_group(geometry, body)
        | _height_group(geometry, body)
        | signal_columns(geometry, tissue, body)
    )


def _frame_group(geometry: Geometry, body: Body) -> Row:
    measures = frame_columns(geometry, body) if body.frame.status == "ok" else {}
    return {"frame_status": body.fit_status} | measures


def _height_group(geometry: Geometry, body: Body) -> Row:
    if body.frame.status != "ok":
        return {"heights_status": body.frame.status}
    edges: Row = {}
    for side in SIDES:
        edges |= _edge_columns(body, side)
    if body.level == _C2:
        return edges | {"heights_status": "not_applicable"}
    measures = height_columns(body, geometry.slice_mm)
    if measures is None:
        return edges | {"heights_status": "fit_failed"}
    return edges | measures | {"heights_status": body.fit_status}


def _edge_columns(body: Body, side: str) -> Row:
    """Depth and concavity of one end of a body; the upper end of C2 bears the dens."""
    lack = Missing("not_applicable" if (side, body.level) == ("superior", _C2) else "fit_failed")
    hollow, depth = body.hollows.get(side), inset_depth_mm(body, side)
    return {
        f"depth_{side}_mm": lack if depth is None else depth,
        f"{side}_concavity_mm": lack if hollow is None else hollow.depth_mm,
    }


def signal_columns(geometry: Geometry, tissue: Tissue | None, body: Body) -> Row:
    """Signal of a body, and against fluid and discs next to it (G14)."""
    if tissue is None:
        return {"signal_status": "no_image"}
    values = tissue.inside(body.crop)
    if values is None:
        return {"signal_status": "too_few_voxels"}
    signal, mean = float(np.median(values)), float(values.mean())
    return {
        "signal_status": body.status,
        "signal_body_au": signal,
        "signal_body_csf_ratio": ratio(signal, tissue.fluid_near(body.crop)),
        "signal_body_disc_ratio": ratio(signal, _disc_signal(geometry, tissue, body)),
        "signal_body_cv_ratio": ratio(float(values.std()), mean),
    }


def _disc_signal(geometry: Geometry, tissue: Tissue, body: Body) -> float | None:
    """Mean of the median signals of the discs above and below; None without any."""
    place = geometry.bodies.index(body)
    above = [geometry.bodies[place - 1].label] if place else []
    discs = [geometry.discs[label] for label in (*above, body.label) if label in geometry.discs]
    values = [inside for inside in (tissue.inside(d.crop) for d in discs) if inside is not None]
    return float(np.mean([np.median(v) for v in values])) if values else None


def frame_columns(geometry: Geometry, body: Body) -> Row:
    """Where a body is and which way it faces; its frame is fitted."""
    r, a, s = body.frame.s
    return {
        "frame_source": body.frame.source,
        "axis_sagittal_deg": float(np.rad2deg(np.arctan2(a, s))),
        "axis_coronal_deg": Missing(LATERAL_CUT)
        if body.crop.is_lateral_cut
        else float(np.rad2deg(np.arctan2(r, s))),
        "axial_rotation_deg": _rotation(geometry, body),
        "bodies_touching_n": _touching(geometry, body),
    }


def _rotation(geometry: Geometry, body: Body) -> float | Missing:
    """Axial rotation where it is known: bodies that are cut at a side know little of theirs."""
    if body.crop.is_lateral_cut:
        return Missing(LATERAL_CUT)
    if any(other.crop.is_lateral_cut for other in _neighbours(geometry.bodies, body)):
        return Missing("neighbour_missing")
    return axial_rotation_deg(geometry, body)


def axial_rotation_deg(geometry: Geometry, body: Body) -> float | Missing:
    """Turn of the unsmoothed anterior direction against the mean of the neighbours'."""
    near = _neighbours(geometry.bodies, body)
    if not near:
        return Missing("neighbour_missing")
    frame = body.frame
    own, mean = frame.own_a, np.mean([other.frame.own_a for other in near], axis=0)
    to_right = np.array([own @ frame.r, mean @ frame.r])
    ahead = np.array([own @ frame.a, mean @ frame.a])
    turn = np.rad2deg(np.arctan2(to_right, ahead))
    return float(turn[0] - turn[1])


def _neighbours(bodies: Sequence[Body], body: Body) -> list[Body]:
    place = bodies.index(body)
    return [bodies[i] for i in (place - 1, place + 1) if 0 <= i < len(bodies)]


def _touching(geometry: Geometry, body: Body) -> int:
    """Neighbours that lie on at least a fifth of an endplate."""
    place, count = geometry.bodies.index(body), 0
    for step, side, outward in ((-1, "superior", 1), (1, "inferior", -1)):
        other = place + step
        if side not in body.masks.sides or not 0 <= other < len(geometry.bodies):
            continue
        hits = body.footprint.upper if side == "superior" else body.footprint.lower
        beyond = np.column_stack([body.footprint.places, hits + outward * _CONTACT_MM])
        inside = geometry.bodies[other].crop.indicator.at(body.frame.to_world(beyond)) >= 0.5
        count += bool(inside.mean() >= _CONTACT_SHARE)
    return count


def height_columns(body: Body, slice_mm: float) -> Row | None:
    """Heights, depths, width and wedges of a body; None where they could not be found."""
    band, columns = body.band, body.columns
    if band is None or columns is None or set(body.plates) != {"superior", "inferior"}:
        return None
    found = {name: columns.height_mm(fractions) for name, fractions in BANDS.items()}
    heights = {name: height for name, height in found.items() if height is not None}
    profile = columns.profile_mm()
    if profile is None or len(heights) < len(BANDS):
        return None
    return {
        **{f"height_{name}_mm": height for name, height in heights.items()},
        "height_mean_mm": float(profile.mean()),
        "height_min_mm": float(profile.min()),
        "n_native_slices_in_band_n": band.slices_n,
        "depth_mm": band.depth_mm,
        "wedge_angle_deg": wedge_angle_deg(body),
        "posterior_wall_deg": or_missing(_wall_angle(body), "fit_failed"),
        **_across(body, band, slice_mm),
    }


def wedge_angle_deg(body: Body) -> float:
    """Angle between the endplate lines, + = anterior height smaller (G7)."""
    slopes = [np.rad2deg(np.arctan(body.plates[s].slope)) for s in ("inferior", "superior")]
    return float(slopes[0] - slopes[1])


def lateral_wedge_deg(frame: Frame) -> float:
    """Angle between the endplate planes in the coronal plane, + = right side shorter."""
    if frame.superior is None or frame.inferior is None:
        raise ValueError("one of the endplates has no plane")
    superior, inferior = (
        np.rad2deg(np.arctan2(plane.normal @ frame.r, plane.normal @ frame.s))
        for plane in (frame.superior, frame.inferior)
    )
    return float(superior - inferior)


def inset_depth_mm(body: Body, side: str) -> float | None:
    """Depth 2 mm inside of an endplate line and parallel to it: median over the band."""
    line, band = body.plate(side), body.band
    if line is None or band is None:
        return None
    inwards = -1 if side == "superior" else 1
    starts = line.point + inwards * _INSET_MM * body.frame.s
    offsets = band.offsets_r - band.middle_r
    reach = band.depth_mm
    first, last = body.crop.indicator.crossings(
        starts + offsets[:, None] * body.frame.r, line.direction, -reach, reach
    )
    lengths = last - first
    return finite_median(lengths) if np.isfinite(lengths).mean() >= 0.6 else None


def _wall_angle(body: Body) -> float | None:
    wall = body.walls.get("posterior")
    return None if wall is None else float(np.rad2deg(np.arctan(wall.slope)))


def _across(body: Body, band: Band, slice_mm: float) -> Row:
    """What depends on the left-right direction, where the sides are seen and slices enough."""
    if body.crop.is_lateral_cut:
        return dict.fromkeys(_ACROSS, Missing(LATERAL_CUT))
    too_few = Missing("too_few_slices")
    slices = band.width_mm / slice_mm
    row = {
        "width_mm": band.width_mm if slices >= LEAST_SLICES_WIDTH else too_few,
        "lateral_wedge_deg": lateral_wedge_deg(body.frame),
    }
    for side, towards in (("left", -1), ("right", 1)):
        if slices / 2 < LEAST_SLICES_SIDE:
            row[f"height_{side}_mm"] = too_few
        else:
            height = side_height_mm(body.crop, body.frame, band, towards)
            row[f"height_{side}_mm"] = or_missing(height, "fit_failed")
    return row
