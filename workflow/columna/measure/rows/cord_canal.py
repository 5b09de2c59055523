"""Rows of the table `cord_canal`: three sites of every level (docs/measures.md#g11)."""

from collections.abc import Mapping, Sequence

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.measure.anatomy.canal import SectionMeasures
from columna.measure.anatomy.sites import CanalSite, CanalSites
from columna.measure.anatomy.spaces import Space
from columna.measure.context import MeasureContext
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES
from columna.tables.cord_canal import CORD_CANAL, SITES
from columna.tables.finish import Missing, finish_row
from columna.tables.schema import Row

_S1 = levels()[SACRUM].name
_FROM_VERTEBRAE = (
    "vertebra",
    "level_status",
    "level",
    "region",
    "level_order",
    "index_status",
    "index_from_top",
)


def cord_canal_rows(
    context: MeasureContext, spaces: Sequence[Space], sites: CanalSites, cord_end_u: float | None
) -> list[Row]:
    """Make the rows of a scan.

    Parameters
    ----------
    context
        The scan.
    spaces
        Its disc spaces: one per vertebra.
    sites
        Planes by vertebra and site.
    cord_end_u
        Where the cord ends on the centre line of the canal; None if that is not seen.
    """
    columns = {key: _columns(site, cord_end_u) for key, site in sites.items()}
    for space in spaces:
        _add_compression(columns, space, spaces)
        _add_body_ratio(columns, space)
    return [
        finish_row(
            CORD_CANAL,
            context.identity
            | {name: space.row[name] for name in _FROM_VERTEBRAE}
            | {"site": site, "canal_dice_status": "not_recorded"}
            | columns[space.row["vertebra"], site],
        )
        for space in spaces
        for site in SITES
    ]


def _add_body_ratio(columns: Mapping[tuple[str, str], Row], space: Space) -> None:
    """Canal relative to the body in front of it, in place."""
    for site in SITES:
        canal = columns[space.row["vertebra"], site]
        if canal["canal_status"] in SAGITTAL_CODES:
            canal["canal_body_ap_ratio"] = _body_ratio(canal["canal_ap_mm"], site, space.row)


def _body_ratio(canal_ap_mm: float, site: str, row: Row) -> float | Missing:
    if site != "mid_body":
        return Missing("not_applicable")
    depth_mm = row["depth_mm"]
    return Missing(row["heights_status"]) if depth_mm is None else canal_ap_mm / depth_mm


def _columns(site: CanalSite, cord_end_u: float | None) -> Row:
    """Columns of one site by itself."""
    if isinstance(site, Missing) or site.code not in SAGITTAL_CODES:
        return {"canal_status": site.code, "cord_status": site.code}
    m, cord = site, _cord_status(site, cord_end_u)
    row: Row = {
        "canal_status": m.code,
        "cord_status": cord,
        "planes_n": len(m.u),
        "slab_mm": m.slab_mm,
        "plane_angle_deg": m.angle_deg.mean(),
        "canal_ap_mm": m.canal_ap_mm.mean(),
        "canal_ap_min_mm": m.canal_ap_mm.min(),
        **_canal_across(m),
    }
    if cord in SAGITTAL_CODES:
        row |= {
            "cord_ap_mm": m.cord_ap_mm.mean(),
            "cord_ap_min_mm": m.cord_ap_mm.min(),
            "anterior_csf_mm": m.anterior_csf_mm.mean(),
            "posterior_csf_mm": m.posterior_csf_mm.mean(),
            "cord_rl_mm": m.cord_rl_mm.mean(),
            **_area("cord", m.cord_area_mm2),
        }
    return row


def _canal_across(m: SectionMeasures) -> Row:
    if m.code == LATERAL_CUT:
        return {"canal_area_status": LATERAL_CUT}
    return {"canal_rl_mm": m.canal_rl_mm.mean(), **_area("canal", m.canal_area_mm2)}


def _area(name: str, area: np.ndarray) -> Row:
    return {
        f"{name}_area_mm2": area.mean(),
        f"{name}_area_min_mm2": area.min(),
        f"{name}_area_sd_mm2": area.std(ddof=1),
    }


def _cord_status(m: SectionMeasures, cord_end_u: float | None) -> str:
    if cord_end_u is not None and m.u[-1] > cord_end_u:
        return "not_applicable"
    if not m.has_cord.all():
        return "not_segmented"
    # of a cord a few slices wide that is cut, nothing can be told
    return "partial_fov" if m.is_cord_cut.any() else m.code


def _add_compression(
    columns: Mapping[tuple[str, str], Row], space: Space, spaces: Sequence[Space]
) -> None:
    """How much smaller the smallest diameters are than at the bodies above and below, in place."""
    name = space.row["vertebra"]
    above = next((s.row["vertebra"] for s in spaces if s.upper and s.lower_name == name), None)
    for site, upper in (("mid_body", above), ("disc", name), ("level", above)):
        for column, tube in (("mcc_pct", "canal"), ("mscc_pct", "cord")):
            smallest = columns[name, site].get(f"{tube}_ap_min_mm")
            if smallest is None:
                continue
            ends = [
                None if end is None else columns.get((end, "mid_body"))
                for end in (upper, space.lower_name)
            ]
            columns[name, site][column] = _compression_pct(smallest, ends, tube, space)


def _compression_pct(
    smallest_mm: float, ends: Sequence[Row | None], tube: str, space: Space
) -> float | Missing:
    """Percent that a diameter lacks of the mean at the middles of two bodies, `ends`."""
    if space.lower_name == _S1 or (ends[0] is None and space.row["level"] == "C2"):
        return Missing("not_applicable")  # the canal of the sacrum has no such site
    found = [end for end in ends if end is not None]
    if len(found) < len(ends):
        return Missing("outside_fov")
    lack = next((end for end in found if f"{tube}_ap_mm" not in end), None)
    if lack is not None:
        return Missing(lack[f"{tube}_status"])
    return 100 * (1 - smallest_mm / float(np.mean([end[f"{tube}_ap_mm"] for end in found])))
