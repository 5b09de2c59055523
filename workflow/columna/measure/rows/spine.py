"""The row of the table `spine`."""

from collections.abc import Sequence

from columna.measure.anatomy.cord_end import CordEnd
from columna.measure.anatomy.coronal import coronal_curve
from columna.measure.anatomy.endplate_ends import Ends
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.lengths import composition, curve_lengths, sagittal_offsets
from columna.measure.anatomy.regional import closure, largest_arc, regional_angles, thoracic_apex
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.anatomy.visibility import weakest
from columna.measure.tools.statuses import commonest
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES
from columna.tables.finish import Missing, finish_row, or_missing
from columna.tables.schema import Row
from columna.tables.spine import SPINE

LISTHESIS_MM = 3.0


def spine_row(
    anatomy: ScanAnatomy,
    vertebrae: Sequence[Row],
    discs: Sequence[Row],
    cord_canal: Sequence[Row],
    end: CordEnd | None,
) -> Row:
    """Summarise a scan.

    Parameters
    ----------
    anatomy
        The scan.
    vertebrae, discs, cord_canal
        Its rows of these tables.
    end
        Where the cord ends; None if that is not seen.
    """
    geometry = anatomy.geometry
    ends = Ends(vertebrae, geometry)
    angles = regional_angles(ends)
    return finish_row(
        SPINE,
        anatomy.context.identity
        | angles
        | {"lordosis_closure_deg": closure(angles, vertebrae, discs)}
        | largest_arc(ends)
        | {"apex_thoracic": thoracic_apex(ends)}
        | coronal_curve(ends)
        | curve_lengths(ends)
        | composition(vertebrae, discs)
        | sagittal_offsets(ends)
        | _listhesis(discs)
        | _lumbar_canal(cord_canal)
        | _cord_end(end, geometry, vertebrae, cord_canal)
        | {
            "n_complete_bodies_n": sum(row["body_status"] == "ok" for row in vertebrae),
            "is_curve_low_support": geometry.curve.is_low_support
            if geometry.curve
            else Missing("not_segmented"),
        },
    )


def _listhesis(discs: Sequence[Row]) -> Row:
    known = [row for row in discs if row["listhesis_mm"] is not None]
    if not known:
        return {
            "listhesis_status": commonest(
                (row["listhesis_status"] for row in discs), "not_segmented"
            )
        }
    largest = max(known, key=lambda row: abs(row["listhesis_mm"]))
    return {
        "listhesis_status": weakest(*(row["listhesis_status"] for row in known)),
        "listhesis_max_mm": largest["listhesis_mm"],
        "listhesis_level": largest["disc"],
        "n_listhesis_3mm_n": sum(abs(row["listhesis_mm"]) >= LISTHESIS_MM for row in known),
    }


def _lumbar_canal(cord_canal: Sequence[Row]) -> Row:
    sites = [row for row in cord_canal if row["region"] == "lumbar"]
    lumbar = [row for row in sites if row["canal_ap_min_mm"] is not None]
    if not lumbar:
        return {
            "lumbar_canal_status": commonest((row["canal_status"] for row in sites), "no_anchor")
        }
    row: Row = {
        "lumbar_canal_status": weakest(*(row["canal_status"] for row in lumbar)),
        "canal_ap_min_mm": min(row["canal_ap_min_mm"] for row in lumbar),
    }
    whole = [row for row in lumbar if row["canal_area_min_mm2"] is not None]
    if not whole:
        return row | {"lumbar_canal_area_status": LATERAL_CUT}
    narrowest = min(whole, key=lambda row: row["canal_area_min_mm2"])
    return row | {
        "canal_area_min_mm2": narrowest["canal_area_min_mm2"],
        "canal_min_level": narrowest["level"],
    }


def _cord_end(
    end: CordEnd | None,
    geometry: Geometry,
    vertebrae: Sequence[Row],
    cord_canal: Sequence[Row],
) -> Row:
    if geometry.cord is None:
        return {"cord_end_status": "not_segmented"}
    curve = geometry.curve
    if end is None or curve is None:
        found = [row["cord_status"] for row in cord_canal if row["index_from_top"] is not None]
        lacks = commonest(found, "not_segmented")
        is_seen = any(code in SAGITTAL_CODES for code in found)
        return {"cord_end_status": "outside_fov" if is_seen else lacks}
    level = next(row["level"] for row in vertebrae if row["vertebra"] == end.vertebra)
    first = geometry.bodies[0].crop.centroid_mm
    place, start = (curve.nearest(point) for point in (end.point_mm, first))
    return {
        "cord_end_level": or_missing(level, "no_anchor"),
        "cord_end_position_mm": float(curve.arc_mm(place) - curve.arc_mm(start)),
    }
