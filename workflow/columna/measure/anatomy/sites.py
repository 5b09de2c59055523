"""The sites of every level where canal and cord are cut (docs/measures.md#g11)."""

from collections.abc import Mapping, Sequence

import numpy as np

from columna.measure.anatomy.body import Body
from columna.measure.anatomy.canal import Canal, SectionMeasures
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.spaces import Space, disc_above
from columna.tables.cord_canal import SITES
from columna.tables.finish import Missing

SLAB_MM = np.linspace(-2.0, 2.0, 5)
"""Places of the planes at the middle of a body or disc."""
LEVEL_STEP_MM = 1.0


CanalSite = SectionMeasures | Missing
"""What was measured in the planes at one site of a level, or why nothing was."""
CanalSites = Mapping[tuple[str, str], CanalSite]
"""(vertebra, site) -> planes."""


def canal_sites(spaces: Sequence[Space], geometry: Geometry, canal: Canal | None) -> CanalSites:
    """Cut the canal at the sites of every vertebra; parameters of the same scan."""
    return {
        (space.row["vertebra"], site): _site(space, site, spaces, geometry, canal)
        for space in spaces
        for site in SITES
    }


def _site(
    space: Space, site: str, spaces: Sequence[Space], geometry: Geometry, canal: Canal | None
) -> CanalSite:
    row = space.row
    if row["presence"] == "duplicate":
        return Missing("duplicate_label")
    if space.upper is None and not (site == "disc" and space.disc):
        return Missing(row["body_status"])
    if canal is None:
        return Missing("not_segmented")
    places = _places(space, site, spaces, geometry, canal)
    return places if isinstance(places, Missing) else canal.measure(places)


def _places(
    space: Space, site: str, spaces: Sequence[Space], geometry: Geometry, canal: Canal
) -> np.ndarray | Missing:
    """Places of the planes on the centre line, or why there are none."""
    body = space.upper
    if site == "mid_body":
        if body is None or not body.has_middle:
            return Missing("partial_fov")
        return float(canal.line.nearest(body.crop.centroid_mm)) + SLAB_MM
    if space.disc is None:
        return Missing("outside_fov" if space.lower_label is None else "not_segmented")
    end = float(canal.line.nearest(space.disc.crop.centroid_mm))
    if site == "disc" or body is None:
        return end + SLAB_MM
    above = disc_above(spaces, body, geometry)
    if above is None:
        return Missing(_above_failure(body, geometry))
    start = float(canal.line.nearest(above.crop.centroid_mm))
    if end - start < LEVEL_STEP_MM:
        return Missing("fit_failed")
    return np.linspace(start, end, round((end - start) / LEVEL_STEP_MM) + 1)


def _above_failure(body: Body, geometry: Geometry) -> str:
    """Why there is no disc above a body."""
    if body.level == "C2":
        return "not_applicable"
    return "outside_fov" if body is geometry.bodies[0] else "not_segmented"
