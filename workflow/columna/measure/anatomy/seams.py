"""Seams between the stations of a stitched scan, and what they cross (docs/measures.md#g15)."""

from typing import Any

from columna.measure.tools.regions import Region
from columna.tables.finish import Missing


def seam_columns(body: Region, seams_si_mm: str | None) -> dict[str, Any]:
    """Whether a seam runs through a body, and how near the nearest seam is.

    Parameters
    ----------
    body
        The body.
    seams_si_mm
        Places of the seams along the scanner's superior axis (RAS+, mm), separated by ``;``;
        empty for a scan of one station, None where that is not known.
    """
    if seams_si_mm is None:
        return {"is_crossing_stitch": Missing("not_recorded")}
    seams = [float(place) for place in seams_si_mm.split(";") if place]
    if not seams:
        return {"is_crossing_stitch": False, "stitch_distance_mm": Missing("not_applicable")}
    centre, half = float(body.centre_mm[2]), float(body.extent_mm[2]) / 2
    distance = min(max(abs(seam - centre) - half, 0.0) for seam in seams)
    return {"is_crossing_stitch": distance == 0, "stitch_distance_mm": distance}
