"""The sites of every level where canal and cord are cut (docs/measures.md#g11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.body import Body
from columna.measure.anatomy.canal import Canal, SectionMeasures
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.spaces import Space, disc_above
from columna.measure.anatomy.visibility import weakest
from columna.tables.cord_canal import SITES

SLAB_MM = np.linspace(-2.0, 2.0, 5)
"""Places of the planes at the middle of a body or disc."""
LEVEL_STEP_MM = 1.0


@dataclass(frozen=True, eq=False)
class CanalSite:
    """Planes at one site of a level; without measures, `status` says why.

    `u` are the planes' places on the canal's centre line, shape (n,).
    """

    status: str
    u: np.ndarray | None = None
    measures: SectionMeasures | None = None

    @property
    def slab_mm(self) -> float:
        """Distance between the first and the last plane."""
        return float(self.u[-1] - self.u[0])


CanalSites = Mapping[tuple[str, str], CanalSite]
"""(vertebra, site) -> planes."""


def canal_sites(spaces: Sequence[Space], geometry: Geometry, canal: Canal | None) -> CanalSites:
    """Cut the canal at the sites of every vertebra; parameters of the same scan."""
    found = {}
    for space in spaces:
        for site in SITES:
            places = _places(space, site, spaces, geometry, canal)
            is_site = isinstance(places, CanalSite)
            found[space.row["vertebra"], site] = places if is_site else _cut(canal, places)
    return found


def _places(
    space: Space, site: str, spaces: Sequence[Space], geometry: Geometry, canal: Canal | None
) -> np.ndarray | CanalSite:
    """Places of the planes on the centre line, or the site that cannot be cut."""
    row, body = space.row, space.upper
    if row["presence"] == "duplicate":
        return CanalSite("duplicate_label")
    if body is None and not (site == "disc" and space.disc):
        return CanalSite(row["body_status"])
    if canal is None:
        return CanalSite("not_segmented")
    if site == "mid_body":
        if not body.has_middle:
            return CanalSite("partial_fov")
        return float(canal.line.nearest(body.crop.centroid_mm)) + SLAB_MM
    if space.disc is None:
        return CanalSite("outside_fov" if space.lower_label is None else "not_segmented")
    end = float(canal.line.nearest(space.disc.crop.centroid_mm))
    if site == "disc":
        return end + SLAB_MM
    above = disc_above(spaces, body, geometry)
    if above is None:
        return CanalSite(_above_failure(body, geometry))
    start = float(canal.line.nearest(above.crop.centroid_mm))
    if end - start < LEVEL_STEP_MM:
        return CanalSite("fit_failed")
    return np.linspace(start, end, round((end - start) / LEVEL_STEP_MM) + 1)


def _above_failure(body: Body, geometry: Geometry) -> str:
    """Why there is no disc above a body."""
    if body.level == "C2":
        return "not_applicable"
    return "outside_fov" if body is geometry.bodies[0] else "not_segmented"


def _cut(canal: Canal, u: np.ndarray) -> CanalSite:
    measures = canal.measure(u)
    codes = sorted(set(measures.canal_status))
    return CanalSite("partial_fov" if "partial_fov" in codes else weakest(*codes), u, measures)
