"""Rows of the table `discs`: every disc space below C2 to L5 (morphometrics G9, G10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from columna.measure.angles import elevation_deg, tilt_deg
from columna.measure.body import Body, Line
from columna.measure.context import MeasureContext
from columna.measure.corners import disc_corners, listhesis_mm, overhang_mm
from columna.measure.crops import image_under
from columna.measure.fov import FieldOfView
from columna.measure.frame import unit
from columna.measure.geometry import Geometry
from columna.measure.interspace import (
    LEAST_VOXELS,
    Interspace,
    fit_interspace,
    heights_mm,
    lower_plane,
)
from columna.measure.regions import Region
from columna.measure.spaces import Space, disc_label
from columna.measure.tissue import LEAST_VOXELS as LEAST_VALUES
from columna.measure.tissue import Tissue, eroded_in_plane
from columna.tables.discs import DISCS
from columna.tables.rows import finish_row

Row = dict[str, Any]

_ABSENT = {
    "absent_outside_fov": "outside_fov",
    "absent_within_range": "not_segmented",
    "undetermined": "no_anchor",
}
_CENTRAL_SHARE = 0.25
"""Half axes of the central ellipse, relative to depth and width."""


def disc_rows(
    context: MeasureContext,
    spaces: Sequence[Space],
    regions: Mapping[int, Region],
    fov: FieldOfView,
    fov_margin_mm: float,
    geometry: Geometry,
    tissue: Tissue | None,
) -> list[Row]:
    """Measure every disc space of a scan.

    Parameters
    ----------
    context
        The scan.
    spaces
        Its disc spaces.
    regions
        Regions of the instance mask, by label.
    fov, fov_margin_mm
        The field of view, and what is too near to its upper or lower edge.
    geometry, tissue
        Bones and discs, and the image (None where it is not at hand).
    """
    measure = _Measure(context, regions, fov, fov_margin_mm, geometry, tissue)
    return [finish_row(DISCS, context.identity | measure.columns(space)) for space in spaces]


def lower_plate(space: Space) -> Line | None:
    """Endplate line below a disc space."""
    if isinstance(space.lower, Body):
        return space.lower.plate("superior")
    return None if space.lower is None else space.lower.line


@dataclass(frozen=True, eq=False)
class _Measure:
    """Measures of one scan's disc spaces."""

    context: MeasureContext
    regions: Mapping[int, Region]
    fov: FieldOfView
    fov_margin_mm: float
    geometry: Geometry
    tissue: Tissue | None

    def columns(self, space: Space) -> Row:
        """All columns of a disc space."""
        row = space.row
        region = self.regions[disc_label(space.disc)] if space.disc else None
        presence = self._presence(space, region)
        columns = {
            "disc": space.name,
            "vertebra_upper": row["vertebra"],
            "level_upper": row["level"],
            "level_lower": space.lower_level,
            "region": row["region"],
            "level_order": row["level_order"],
            "index_from_top": row["index_from_top"],
            "presence": presence,
        }
        if presence == "complete":
            columns["volume_mm3"] = region.voxels_n * self.context.instance.voxel_volume_mm3
        status = self._disc_status(space, region, presence)
        between = fit_interspace(space, self.geometry) if status == "ok" else None
        tissue = heights_mm(between.disc) if between else None
        if status == "ok" and tissue is None:
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

    def _presence(self, space: Space, region: Region | None) -> str:
        upper = space.row["presence"]
        if upper == "duplicate":
            return "duplicate"
        if region is not None:
            is_cut = bool(self.fov.faces(region)) or self._is_near(region)
            return "partial" if is_cut else "complete"
        if upper in ("absent_outside_fov", "undetermined"):
            return upper
        has_lower = space.lower is not None or upper == "absent_within_range"
        return "absent_within_range" if has_lower else "absent_outside_fov"

    def _is_near(self, region: Region) -> bool:
        return self.fov.distance_mm(region) < self.fov_margin_mm

    def _disc_status(self, space: Space, region: Region | None, presence: str) -> str:
        if presence == "duplicate":
            return "duplicate_label"
        if region is None:
            return _ABSENT[presence]
        # contact at the sides leaves the mid-sagittal band whole
        if self._is_near(region) or set(self.fov.faces(region)) & set("SIAP"):
            return "partial_fov"
        return "ok" if space.disc.crop.voxels_n >= LEAST_VOXELS else "too_few_voxels"

    def _tissue(
        self, space: Space, between: Interspace | None, heights: dict[str, float] | None
    ) -> Row:
        if between is None or heights is None:
            return {}
        corners = disc_corners(space, self.geometry.sacrum)
        return {f"disc_height_{name}_mm": value for name, value in heights.items()} | {
            "disc_depth_mm": between.depth_mm,
            "disc_width_mm": between.width_mm,
            "posterior_overhang_mm": overhang_mm(between, corners, "posterior"),
            "anterior_overhang_mm": overhang_mm(between, corners, "anterior"),
        }

    def _gap(self, space: Space, between: Interspace | None, disc_status: str) -> Row:
        if between is None:
            return {"gap_status": disc_status}
        if between.gap is None or not between.is_neighbour:
            return {"gap_status": "neighbour_missing"}
        heights = heights_mm(between.gap)
        if heights is None:
            return {"gap_status": "fit_failed"}
        both = heights["anterior"] + heights["posterior"]
        return (
            {"gap_status": "ok", "height_index_farfan_ratio": both / between.depth_mm}
            | {f"gap_{name}_mm": value for name, value in heights.items()}
            | self._relative_gap(space, between, heights)
        )

    def _relative_gap(self, space: Space, between: Interspace, gap: dict[str, float]) -> Row:
        """Gap relative to the neighbours' sizes, and what no structure claims of it."""
        row: Row = {}
        upper = space.row
        depths = (upper["depth_inferior_mm"], self._lower_depth(space))
        if None not in depths:
            row["height_index_ratio"] = gap["mean"] / np.mean(depths)
        if upper["height_middle_mm"] is not None:
            row["height_body_ratio"] = gap["middle"] / upper["height_middle_mm"]
        plates = [
            between.plate_thickness_mm(self.geometry.endplates.get(key))
            for key in ((space.upper.label, "inferior"), (space.lower_label, "superior"))
        ]
        if None not in plates:
            disc = heights_mm(between.disc)["middle"]
            row["tiling_residual_mm"] = gap["middle"] - disc - sum(plates)
        return row

    def _lower_depth(self, space: Space) -> float | None:
        if isinstance(space.lower, Body):
            return space.lower_row["depth_superior_mm"]
        return space.lower.length_mm

    def _angles(self, space: Space, presence: str) -> Row:
        planes = (space.upper.plane("inferior") if space.upper else None, lower_plane(space))
        lines = (space.upper.plate("inferior") if space.upper else None, lower_plate(space))
        if presence == "duplicate":
            return {"angle_status": "duplicate_label"}
        if space.upper is None and presence in ("undetermined", "absent_outside_fov"):
            return {"angle_status": _ABSENT[presence]}
        if None in planes or None in lines:
            return {"angle_status": self._angle_failure(space)}
        right = unit(space.upper.frame.r + space.lower.frame.r)
        superior = unit(planes[0].normal + planes[1].normal)
        across = unit(right - (right @ superior) * superior)
        upper, lower = (elevation_deg(line.direction, right) for line in lines)
        tilts = [tilt_deg(plane.normal, across, superior) for plane in planes]
        row = {
            "angle_status": "ok",
            "disc_angle_deg": upper - lower,
            "disc_lateral_angle_deg": tilts[1] - tilts[0],
        }
        top = space.upper.plate("superior")
        if top is not None:
            row["segment_angle_deg"] = elevation_deg(top.direction, right) - lower
        return row | self._listhesis(space, lines[1])

    def _angle_failure(self, space: Space) -> str:
        """Why an endplate next to a disc space is not known."""
        for bone in (space.upper, space.lower):
            if bone is None:
                return "neighbour_missing"
            if isinstance(bone, Body) and bone.frame.status != "ok":
                return bone.frame.status
        whole = [b.is_complete for b in (space.upper, space.lower) if isinstance(b, Body)]
        return "fit_failed" if all(whole) else "partial_fov"

    def _listhesis(self, space: Space, plate: Line) -> Row:
        corners = disc_corners(space, self.geometry.sacrum)
        offset = listhesis_mm(corners, plate)
        ends = (corners.lower_posterior, corners.lower_anterior)
        if offset is None or ends[1] is None:
            return {}
        return {
            "listhesis_mm": offset,
            "listhesis_pct": 100 * offset / float(np.linalg.norm(ends[1] - ends[0])),
        }

    def _signal(self, space: Space, between: Interspace | None, disc_status: str) -> Row:
        crop = space.disc.crop if space.disc else None
        if crop is None or disc_status in ("partial_fov", "duplicate_label"):
            return {"signal_status": disc_status}
        if self.tissue is None:
            return {"signal_status": "no_image"}
        values, fluid = self.tissue.inside(crop), self.tissue.fluid_near(crop)
        if values is None:
            return {"signal_status": "too_few_voxels"}
        if fluid is None:
            return {"signal_status": "neighbour_missing"}
        low, median, high = np.quantile(values, (0.1, 0.5, 0.9))
        row = {
            "signal_status": "ok",
            "signal_disc_au": median,
            "signal_disc_csf_ratio": median / fluid,
            "signal_p90_csf_ratio": high / fluid,
            "signal_p10_csf_ratio": low / fluid,
            "signal_contrast_ratio": (high - low) / fluid,
        }
        central = self._central(between) if between is not None else None
        if central is not None:
            row["signal_central_csf_ratio"] = central / fluid
        return row

    def _central(self, between: Interspace) -> float | None:
        """Mean signal in the central ellipse, through all of the thickness."""
        crop = between.space.disc.crop
        local = between.frame.to_local(crop.points_mm)
        width = between.width_mm or between.depth_mm
        a = (local[:, 1] - between.posterior_a) / between.depth_mm - 0.5
        r = (local[:, 0] - between.offsets_r.mean()) / width
        within = np.zeros_like(crop.mask)
        within[crop.mask] = np.hypot(a, r) <= _CENTRAL_SHARE
        core = within & eroded_in_plane(crop)
        if np.count_nonzero(core) < LEAST_VALUES:
            return None
        return float(image_under(self.tissue.image, crop)[core].mean(dtype=float))
