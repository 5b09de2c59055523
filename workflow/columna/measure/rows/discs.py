"""Rows of the table `discs`: every disc space below C2 to L5 (G9, G10 of docs/measures.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.angles import elevation_deg, tilt_deg
from columna.measure.anatomy.body import Body, Line
from columna.measure.anatomy.corners import Corners, disc_corners, listhesis_mm, overhang_mm
from columna.measure.anatomy.frame import unit
from columna.measure.anatomy.geometry import Disc
from columna.measure.anatomy.interspace import (
    LEAST_VOXELS,
    Interspace,
    fit_interspace,
    heights_mm,
    is_narrow,
    lower_plane,
    upper_plane,
)
from columna.measure.anatomy.sacral import SacralPlate
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.anatomy.spaces import Space, disc_label
from columna.measure.anatomy.tissue import LEAST_VOXELS as LEAST_VALUES
from columna.measure.anatomy.tissue import Tissue, eroded_in_plane, ratio
from columna.measure.anatomy.visibility import weakest
from columna.measure.tools.crops import image_under
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES
from columna.tables.discs import DISCS
from columna.tables.finish import Missing, finish_row, or_missing
from columna.tables.schema import Row

_ABSENT = {
    "absent_outside_fov": "outside_fov",
    "absent_within_range": "not_segmented",
    "undetermined": "no_anchor",
}
_CUT = {"ok": "complete", LATERAL_CUT: LATERAL_CUT, "partial_fov": "partial"}
_WITHOUT_VOLUME = {
    "partial": "partial_fov",
    LATERAL_CUT: LATERAL_CUT,
    "duplicate": "duplicate_label",
}
_FROM_VERTEBRAE = ("level_status", "region", "level_order", "index_status", "index_from_top")
_WALLS = ("posterior", "anterior")
_CENTRAL_SHARE = 0.25
"""Half axes of the central ellipse, relative to depth and width."""


def disc_rows(anatomy: ScanAnatomy, spaces: Sequence[Space]) -> list[Row]:
    """Measure every disc space of a scan.

    Parameters
    ----------
    anatomy
        The scan.
    spaces
        Its disc spaces.
    """
    measure, identity = _DiscMeasures(anatomy), anatomy.context.identity
    return [finish_row(DISCS, identity | measure.columns(space)) for space in spaces]


def upper_plate(space: Space) -> Line | None:
    """Endplate line above a disc space."""
    return None if space.upper is None else space.upper.plate("inferior")


def lower_plate(space: Space) -> Line | None:
    """Endplate line below a disc space."""
    if isinstance(space.lower, Body):
        return space.lower.plate("superior")
    return None if space.lower is None else space.lower.line


def upper_end_failure(body: Body) -> str:
    """Why the upper endplate of a body with a frame is not known."""
    if body.level == "C2":
        return "not_applicable"
    return "fit_failed" if "superior" in body.masks.sides else "partial_fov"


@dataclass(frozen=True, eq=False)
class _DiscMeasures:
    """Measures of one scan's disc spaces."""

    scan: ScanAnatomy

    def columns(self, space: Space) -> Row:
        """All columns of a disc space."""
        row = space.row
        presence = self._presence(space)
        columns = {
            "disc": space.name,
            "vertebra_upper": row["vertebra"],
            "level_upper": row["level"],
            "level_lower": or_missing(space.lower_level, "no_anchor"),
            "presence": presence,
            "disc_dice_status": "not_recorded",
            **{name: row[name] for name in _FROM_VERTEBRAE},
        }
        status = self._disc_status(space, presence)
        columns["volume_mm3"] = self._volume(space.disc, presence)
        between = None
        if space.disc is not None and status in SAGITTAL_CODES:
            between = fit_interspace(space, space.disc.crop, self.scan.geometry)
        tissue = heights_mm(between.disc) if between else None
        if status in SAGITTAL_CODES and tissue is None:
            status, between = "fit_failed", None
        gap = self._gap(space, between, status)
        is_apart = gap["gap_status"] == "neighbour_missing"
        return (
            columns
            | {"disc_status": status}
            | self._tissue(space, between, tissue)
            | gap
            | ({"angle_status": "neighbour_missing"} if is_apart else self._angles(space, presence))
            | self._signal(space, between, status)
        )

    def _volume(self, disc: Disc | None, presence: str) -> float | Missing:
        if disc is not None and presence == "complete":
            region = self.scan.regions[disc_label(disc)]
            return region.voxels_n * self.scan.context.instance.voxel_volume_mm3
        return Missing(_ABSENT.get(presence) or _WITHOUT_VOLUME[presence])

    def _presence(self, space: Space) -> str:
        upper = space.row["presence"]
        if upper == "duplicate":
            return "duplicate"
        if space.disc is not None:
            is_lost = space.disc.status == LATERAL_CUT and is_narrow(space, space.disc.crop)
            return "partial" if is_lost else _CUT[space.disc.status]
        if upper in ("absent_outside_fov", "undetermined"):
            return upper
        has_lower = space.lower is not None or upper == "absent_within_range"
        return "absent_within_range" if has_lower else "absent_outside_fov"

    def _disc_status(self, space: Space, presence: str) -> str:
        if presence == "duplicate":
            return "duplicate_label"
        if space.disc is None:
            return _ABSENT[presence]
        if presence == "partial":
            return "partial_fov"
        return space.disc.status if space.disc.crop.voxels_n >= LEAST_VOXELS else "too_few_voxels"

    def _bone_status(self, bone: Body | SacralPlate) -> str:
        """Whether the endplate lines of a bone are known, and its sides seen."""
        return bone.fit_status if isinstance(bone, Body) else self.scan.geometry.sacral_end.code

    def _tissue(
        self, space: Space, between: Interspace | None, heights: dict[str, float] | None
    ) -> Row:
        if between is None or heights is None:
            return {}
        corners = disc_corners(space, self.scan.geometry.sacrum)
        return {f"disc_height_{name}_mm": value for name, value in heights.items()} | {
            "disc_depth_mm": between.depth_mm,
            "disc_width_mm": Missing(LATERAL_CUT)
            if between.crop.is_lateral_cut
            else or_missing(between.width_mm, "too_few_slices"),
            **{f"{wall}_overhang_mm": self._overhang(between, corners, wall) for wall in _WALLS},
        }

    def _overhang(self, between: Interspace, corners: Corners, wall: str) -> float | Missing:
        if corners.between(wall) is None:
            return Missing(self._corner_failure(between.space))
        return or_missing(overhang_mm(between, corners, wall), "fit_failed")

    def _corner_failure(self, space: Space) -> str:
        """Why a corner next to a disc is not known."""
        is_known = None not in (upper_plate(space), lower_plate(space))
        return "fit_failed" if is_known else self._angle_failure(space)

    def _gap(self, space: Space, between: Interspace | None, disc_status: str) -> Row:
        if between is None:
            return {"gap_status": disc_status}
        if space.bones is None or between.gap is None or not between.is_neighbour:
            return {"gap_status": "neighbour_missing"}
        heights = heights_mm(between.gap)
        if heights is None:
            return {"gap_status": "fit_failed"}
        # a gap needs no more of a bone than its surface
        is_cut = LATERAL_CUT in (disc_status, *map(self._bone_status, space.bones))
        return (
            {"gap_status": LATERAL_CUT if is_cut else "ok"}
            | {f"gap_{name}_mm": value for name, value in heights.items()}
            | self._relative_gap(space, between, heights)
        )

    def _relative_gap(self, space: Space, between: Interspace, gap: dict[str, float]) -> Row:
        """Gap relative to the neighbours' sizes, and what no structure claims of it."""
        upper = space.row
        height = upper["height_middle_mm"]
        return {
            "tiling_residual_mm": self._residual(space, between, gap["middle"]),
            "height_index_ratio": self._height_index(space, gap["mean"]),
            "height_body_ratio": Missing(upper["heights_status"])
            if height is None
            else gap["middle"] / height,
        }

    def _residual(self, space: Space, between: Interspace, gap_mm: float) -> float | Missing:
        """What neither disc nor endplates claim of the gap in its middle."""
        plates, disc = self.scan.geometry.endplates, heights_mm(between.disc)
        if space.upper is None or space.lower_label is None or disc is None:
            return Missing("not_segmented")
        above = between.plate_thickness_mm(plates.get((space.upper.label, "inferior")))
        below = between.plate_thickness_mm(plates.get((space.lower_label, "superior")))
        if above is None or below is None:
            return Missing("not_segmented")
        return gap_mm - disc["middle"] - (above + below)

    def _height_index(self, space: Space, gap_mm: float) -> float | Missing:
        """Gap over the mean length of the endplates next to it."""
        rows = [(space.row, "inferior")]
        lengths = [space.lower.length_mm] if isinstance(space.lower, SacralPlate) else []
        if space.lower_row is not None:
            rows.append((space.lower_row, "superior"))
        for row, side in rows:
            if row[f"depth_{side}_mm"] is None:
                return Missing(row[f"depth_{side}_status"])
            lengths.append(row[f"depth_{side}_mm"])
        return gap_mm / float(np.mean(lengths))

    def _angles(self, space: Space, presence: str) -> Row:
        if presence == "duplicate":
            return {"angle_status": "duplicate_label"}
        if space.upper is None and presence in ("undetermined", "absent_outside_fov"):
            return {"angle_status": _ABSENT[presence]}
        above, below = upper_plate(space), lower_plate(space)
        if space.bones is None or above is None or below is None:
            return {"angle_status": self._angle_failure(space)}
        upper, lower = space.bones
        right = unit(upper.frame.r + lower.frame.r)
        slope = elevation_deg(below.direction, right)
        status = weakest(*map(self._bone_status, space.bones))
        lateral = self._lateral_angle(space, right)
        if lateral is None:
            return {"angle_status": self._angle_failure(space)}
        top = upper.plate("superior")
        return {
            "angle_status": status,
            "disc_angle_deg": elevation_deg(above.direction, right) - slope,
            "disc_lateral_angle_deg": Missing(LATERAL_CUT) if status == LATERAL_CUT else lateral,
            "segment_angle_deg": Missing(upper_end_failure(upper))
            if top is None
            else elevation_deg(top.direction, right) - slope,
        } | self._listhesis(space, below)

    def _lateral_angle(self, space: Space, right: np.ndarray) -> float | None:
        """Angle between the endplate planes, seen from the front; None where one is not known."""
        upper, lower = upper_plane(space), lower_plane(space)
        if upper is None or lower is None:
            return None
        superior = unit(upper.normal + lower.normal)
        across = unit(right - (right @ superior) * superior)
        return tilt_deg(lower.normal, across, superior) - tilt_deg(upper.normal, across, superior)

    def _angle_failure(self, space: Space) -> str:
        """Why an endplate next to a disc space is not known."""
        for bone in (space.upper, space.lower):
            if bone is None:
                return "neighbour_missing"
            if isinstance(bone, Body) and bone.frame.status != "ok":
                return bone.frame.status
        whole = [b.has_middle for b in (space.upper, space.lower) if isinstance(b, Body)]
        return "fit_failed" if all(whole) else "partial_fov"

    def _listhesis(self, space: Space, plate: Line) -> Row:
        corners = disc_corners(space, self.scan.geometry.sacrum)
        offset = listhesis_mm(corners, plate)
        ends = (corners.lower_posterior, corners.lower_anterior)
        if offset is None or ends[1] is None:
            return {"listhesis_status": "fit_failed"}
        return {
            "listhesis_mm": offset,
            "listhesis_pct": 100 * offset / float(np.linalg.norm(ends[1] - ends[0])),
        }

    def _signal(self, space: Space, between: Interspace | None, disc_status: str) -> Row:
        disc = space.disc
        if disc is None or disc_status in ("partial_fov", "duplicate_label"):
            return {"signal_status": disc_status}
        if self.scan.tissue is None:
            return {"signal_status": "no_image"}
        values, fluid = self.scan.tissue.inside(disc.crop), self.scan.tissue.fluid_near(disc.crop)
        if values is None:
            return {"signal_status": "too_few_voxels"}
        low, median, high = np.quantile(values, (0.1, 0.5, 0.9))
        central = (
            Missing(disc_status) if between is None else self._central(between, self.scan.tissue)
        )
        return {
            "signal_status": disc.status,
            "signal_disc_au": median,
            "signal_disc_csf_ratio": ratio(median, fluid),
            "signal_p90_csf_ratio": ratio(high, fluid),
            "signal_p10_csf_ratio": ratio(low, fluid),
            "signal_contrast_ratio": ratio(high - low, fluid),
            "signal_central_csf_ratio": central
            if isinstance(central, Missing)
            else ratio(central, fluid),
        }

    def _central(self, between: Interspace, tissue: Tissue) -> float | Missing:
        """Mean signal in the central ellipse, through all of the thickness."""
        crop = between.crop
        local = between.frame.to_local(crop.points_mm)
        width = between.width_mm or between.depth_mm
        a = (local[:, 1] - between.posterior_a) / between.depth_mm - 0.5
        r = (local[:, 0] - between.offsets_r.mean()) / width
        within = np.zeros_like(crop.mask)
        within[crop.mask] = np.hypot(a, r) <= _CENTRAL_SHARE
        core = within & eroded_in_plane(crop)
        if np.count_nonzero(core) < LEAST_VALUES:
            return Missing("too_few_voxels")
        return float(image_under(tissue.image, crop)[core].mean(dtype=float))
