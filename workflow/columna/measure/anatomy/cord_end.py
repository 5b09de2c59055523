"""Where the cord ends (docs/measures.md#g11): a stand-in for the conus."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.canal import SectionMeasures
from columna.measure.anatomy.sites import CanalSites
from columna.measure.anatomy.spaces import Space
from columna.tables.common import SAGITTAL_CODES

LEAST_MM2 = 15.0
"""Smaller sections are no cord."""
LEAST_MM = 5.0
"""A cord is at least so long; so much canal without cord must follow below its end."""


@dataclass(frozen=True, eq=False)
class CordEnd:
    """The last plane with cord.

    Parameters
    ----------
    vertebra
        Whose planes it belongs to, as the table `vertebrae` names it.
    u
        Its place on the centre line of the canal.
    point_mm
        Its point there, RAS+, shape (3,).
    """

    vertebra: str
    u: float
    point_mm: np.ndarray


def cord_end(spaces: Sequence[Space], sites: CanalSites) -> CordEnd | None:
    """Find the caudal end of the last stretch of cord; None if it is not seen.

    Parameters
    ----------
    spaces
        Disc spaces, one per vertebra, whose planes from disc to disc are searched.
    sites
        Planes by vertebra and site.
    """
    planes: list[tuple[float, float, bool, str, np.ndarray]] = []
    for space in spaces:
        name = space.row["vertebra"]
        found = sites[name, "level"]
        if isinstance(found, SectionMeasures):
            area = np.nan_to_num(found.cord_area_mm2)
            is_valid = np.isin(found.canal_status, SAGITTAL_CODES)
            names = [name] * len(area)
            planes += zip(found.u, area, is_valid, names, found.centre_mm, strict=True)
    planes.sort(key=lambda plane: plane[0])
    valid = [plane for plane in planes if plane[2]]
    stretch: list[tuple[float, float, bool, str, np.ndarray]] = []
    last = None
    for plane in valid:
        stretch = [*stretch, plane] if plane[1] >= LEAST_MM2 else []
        if stretch and plane[0] - stretch[0][0] >= LEAST_MM:
            last = plane
    if last is None or valid[-1][0] - last[0] < LEAST_MM:
        return None
    return CordEnd(last[3], float(last[0]), last[4])
