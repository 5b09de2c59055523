"""Rows of the table `vertebrae`: every canonical level, and every vertebra without a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from columna.anatomy import BODY, SACRUM, Level, Semantic, levels, vertebra_labels
from columna.config import MeasureSettings
from columna.measure.anatomy.body import Body
from columna.measure.anatomy.geometry import repeated_levels
from columna.measure.anatomy.lateral import middle_width_mm
from columna.measure.anatomy.neighbours import add_neighbour_columns, add_visible_fraction
from columna.measure.anatomy.parts import Parts
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.anatomy.seams import seam_columns
from columna.measure.anatomy.vertebra_shape import SHAPE_STATUSES, shape_rows
from columna.measure.anatomy.visibility import arch_status, body_status, is_cut
from columna.measure.context import Vertebra
from columna.measure.tools.regions import Region
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import Missing, finish_row, or_missing
from columna.tables.schema import Row
from columna.tables.vertebrae import VERTEBRAE

SUBREGIONS = {
    "spinous": Semantic.SPINOUS_PROCESS,
    "costal_left": Semantic.COSTAL_PROCESS_LEFT,
    "costal_right": Semantic.COSTAL_PROCESS_RIGHT,
    "sup_artic_left": Semantic.SUPERIOR_ARTICULAR_LEFT,
    "sup_artic_right": Semantic.SUPERIOR_ARTICULAR_RIGHT,
    "inf_artic_left": Semantic.INFERIOR_ARTICULAR_LEFT,
    "inf_artic_right": Semantic.INFERIOR_ARTICULAR_RIGHT,
}
"""Column stem -> label; the arch is all of them and the arcus."""

OPTIONAL_LEVELS = ("T13", "L6")
"""Levels that have a row only where they were labelled."""

_ABSENT_STATUS = {
    "absent_outside_fov": "outside_fov",
    "absent_within_range": "not_segmented",
    "not_segmented": "not_segmented",
    "undetermined": "no_anchor",
}
DICE_STATUSES = ("body_dice_status", "posterior_dice_status")
"""Predicted Dice comes later (`columna.predict`)."""
_WHOLE_STATUSES = ("confidence_status", "fold_dice_status", *DICE_STATUSES, *SHAPE_STATUSES)
_PART_STATUSES = ("vertebra_status", "body_status", "arch_status")
"""Statuses that say of a vertebra without measures why it has none."""


def vertebra_rows(
    anatomy: ScanAnatomy, settings: MeasureSettings, *, has_sacrum: bool
) -> list[Row]:
    """Measure every vertebra, and add the levels that were not found.

    Parameters
    ----------
    anatomy
        The scan; every vertebra of its `parts` has an entry in the `levels` of its context.
    settings
        Whether heights are graded.
    has_sacrum
        Whether the sacrum was found.
    """
    context, parts = anatomy.context, anatomy.parts
    found = [v for v in context.vertebrae if v.label in parts]
    unlisted = set(parts) - {v.label for v in found}
    if unlisted:
        raise ValueError(f"instance labels {sorted(unlisted)} have no entry in levels")
    seen, pieces = ([v for v in found if v.is_fragment == side] for side in (False, True))
    sure = {} if context.certainty is None else context.certainty.by_instance(*BODY)
    measure = _VertebraMeasures(anatomy, repeated_levels(context, parts), sure)
    rows = [_naming(v, seen, has_sacrum) | measure.columns(v, parts[v.label]) for v in seen]
    bodies = [parts[v.label].body for v in seen]
    add_visible_fraction(rows, [body.voxels_n if body else 0 for body in bodies])
    add_neighbour_columns(rows, settings.genant_like_grade)
    rows += [
        _fragment_naming(v, number) | measure.fragment(parts[v.label])
        for number, v in enumerate(pieces, start=1)
    ]
    rows += _absent_rows(seen, has_sacrum)
    return [finish_row(VERTEBRAE, context.identity | row) for row in rows]


def is_sacrum_anchor(seen: Iterable[Vertebra], has_sacrum: bool) -> bool:
    """Whether the sacrum is seen well enough to count from it, or given with the levels."""
    anchors = {v.anchor for v in seen}
    told = {"given", "sheet", "reviewed"}
    return bool(anchors & {"sacrum", "both"}) or (has_sacrum and bool(anchors & told))


def _naming(vertebra: Vertebra, seen: list[Vertebra], has_sacrum: bool) -> Row:
    """Name and place in the row of vertebrae of one of them."""
    place = seen.index(vertebra)
    c2 = next((i for i, v in enumerate(seen) if v.is_c2), None)
    is_counted = is_sacrum_anchor(seen, has_sacrum)
    same = [v for v in seen if v.level == vertebra.level]
    name = vertebra.level or f"unnamed_{place + 1:02d}"
    if vertebra.level and same.index(vertebra):
        name += f"_{same.index(vertebra) + 1}"
    return (
        {
            "vertebra": name,
            "level_status": "ok" if vertebra.level else "no_anchor",
            "level_anchor": vertebra.anchor,
            "level_p_ratio": or_missing(
                vertebra.confidence, "not_recorded" if vertebra.level else "no_anchor"
            ),
            "index_from_top": place + 1,
            "index_from_c2": _index_from_c2(place, c2),
            "index_from_sacrum": len(seen) - place if is_counted else Missing("no_anchor"),
            "spineps_label": vertebra.label,
            "review_position": or_missing(vertebra.review_position, "not_applicable"),
        }
        | _second(vertebra)
        | _level_columns(vertebra.level)
    )


def _second(vertebra: Vertebra) -> Row:
    """The best name but the one that it has, or but the best where it has none."""
    if not vertebra.posterior:
        return {"level_second_status": "not_recorded"}
    taken = vertebra.level or next(iter(vertebra.posterior))
    others = [(name, p) for name, p in vertebra.posterior.items() if name != taken]
    if not others:
        return {"level_second_status": "not_applicable"}
    return {"level_second": others[0][0], "level_second_p_ratio": others[0][1]}


def _index_from_c2(place: int, c2: int | None) -> int | Missing:
    if c2 is None:
        return Missing("no_anchor")
    return place - c2 + 1 if place >= c2 else Missing("not_applicable")


def _fragment_naming(piece: Vertebra, number: int) -> Row:
    """A fragment has a number of its own, from the top, and neither level nor place."""
    return {
        "vertebra": f"fragment_{number:02d}",
        "level_status": "fragment",
        "level_anchor": piece.anchor,
        "level_p_status": "fragment",
        "index_status": "fragment",
        "spineps_label": piece.label,
        "review_position": or_missing(piece.review_position, "not_applicable"),
    } | _second(piece)


def _level_columns(name: str | None) -> Row:
    if name is None:
        return {}
    level = _by_name()[name]
    return {"level": name, "region": level.region, "level_order": level.level_order}


def _by_name() -> dict[str, Level]:
    return {level.name: level for level in levels().values()}


@dataclass(frozen=True, eq=False)
class _VertebraMeasures:
    """Measures of the vertebrae of a scan.

    Parameters
    ----------
    scan
        The scan.
    repeated
        Levels that several vertebrae have.
    sure
        Instance label -> how sure phase 1 was of the body, where that is known.
    """

    scan: ScanAnatomy
    repeated: set[str]
    sure: Mapping[int, Row]

    def columns(self, vertebra: Vertebra, parts: Parts) -> Row:
        """Visibility, place, volumes, shape and signal of one vertebra."""
        limits = (self.scan.fov, self.repeated)
        found = self.scan.geometry.by_label.get(vertebra.label)
        body = found.status if found else body_status(vertebra, parts, *limits)
        arch = arch_status(vertebra, parts, *limits)
        whole = arch if body == "ok" else body
        row = {
            "presence": self._presence(vertebra, parts, body),
            "vertebra_status": whole,
            "body_status": body,
            "arch_status": arch,
            **self.sure.get(vertebra.label, {"confidence_status": "not_recorded"}),
            "fold_dice_status": "not_recorded",
            **dict.fromkeys(DICE_STATUSES, "not_recorded"),
            **self._place(parts, body),
            "middle_width_mm": middle_width_mm(found.crop)
            if found is not None and body == LATERAL_CUT
            else Missing("not_applicable"),
            **self._volumes(parts, whole, body, arch),
        }
        if found is None:
            return row | dict.fromkeys((*SHAPE_STATUSES, "curve_position_status"), body)
        return row | self._curve(found) | shape_rows(self.scan.geometry, self.scan.tissue, found)

    def _presence(self, vertebra: Vertebra, parts: Parts, body: str) -> str:
        if body == "duplicate_label":
            return "duplicate"
        if vertebra.level == "C1":  # it has no body to go by
            return "partial" if parts.faces else "complete"
        return {"ok": "complete", LATERAL_CUT: LATERAL_CUT}.get(body, "partial")

    def fragment(self, parts: Parts) -> Row:
        """A piece of bone: where it is, and nothing else."""
        lacks = ("middle_width_status", "visible_fraction_status", "curve_position_status")
        subregions = (f"{name}_status" for name in SUBREGIONS)
        return {
            "presence": "fragment",
            **dict.fromkeys((*lacks, *_PART_STATUSES, *subregions, *_WHOLE_STATUSES), "fragment"),
            **self._place(parts, "fragment"),
        }

    def _place(self, parts: Parts, status: str) -> Row:
        body = parts.body
        if body is None or status == "not_applicable":
            lack = "outside_fov" if parts.faces else "not_segmented"
            return {"place_status": status if status == "not_applicable" else lack}
        faces = self.scan.fov.faces(body)
        return {
            "touches_fov": bool(faces),
            "edge_faces": faces,
            "fov_distance_mm": self.scan.fov.distance_mm(body),
            **{f"centroid_{a}_mm": v for a, v in zip("ras", body.centroid_mm, strict=True)},
            **seam_columns(body, self.scan.context.facts.get("stitch_si_mm")),
        }

    def _curve(self, body: Body) -> Row:
        curve = self.scan.geometry.curve
        if curve is None:
            return {}
        places = curve.arc_mm(
            curve.nearest(
                np.stack([b.crop.centroid_mm for b in (self.scan.geometry.bodies[0], body)])
            )
        )
        return {"curve_position_mm": float(places[1] - places[0])}

    def _volumes(self, parts: Parts, whole: str, body: str, arch: str) -> Row:
        row = {
            f"{name}_volume_mm3": self._part(parts, part, arch) for name, part in SUBREGIONS.items()
        }
        if parts.body is not None and body == "ok":
            row["body_volume_mm3"] = self._mm3(parts.body)
        if arch == "ok":
            row["arch_volume_mm3"] = sum(map(self._mm3, parts.posterior.values()))
        if parts.body is not None and whole == "ok":
            row["vertebra_volume_mm3"] = (
                parts.voxels_n * self.scan.context.instance.voxel_volume_mm3
            )
        return row

    def _part(self, parts: Parts, part: Semantic, arch: str) -> float | Missing:
        """Volume of one process, which may be whole where others are cut."""
        region = parts.posterior.get(part)
        if arch == "duplicate_label":
            return Missing(arch)
        if region is None:
            return Missing(arch if not parts.posterior else "not_segmented")
        if is_cut(region, self.scan.fov):
            return Missing("partial_fov")
        return self._mm3(region)

    def _mm3(self, region: Region) -> float:
        return region.voxels_n * self.scan.context.instance.voxel_volume_mm3


def _absent_rows(seen: list[Vertebra], has_sacrum: bool) -> list[Row]:
    """Rows of the canonical levels that no vertebra was named after."""
    found = {v.level for v in seen}
    rows = []
    for label in vertebra_labels():
        name = levels()[label].name
        if name in found or name in OPTIONAL_LEVELS:
            continue
        presence = _absence(label, seen, has_sacrum)
        status = _ABSENT_STATUS[presence]
        rows.append(
            {
                "vertebra": name,
                "level_status": "ok",
                "found_status": status,
                "presence": presence,
                "arch_status": status,
            }
            | dict.fromkeys(
                ("vertebra_status", "body_status", *_WHOLE_STATUSES),
                "not_applicable" if name == "C1" else status,
            )
            | _level_columns(name)
        )
    return rows


def _absence(label: int, seen: list[Vertebra], has_sacrum: bool) -> str:
    """Why a level was not found."""
    if seen and not any(v.level for v in seen):
        return "undetermined"
    names = [v.level for v in seen if v.level] + [levels()[SACRUM].name] * has_sacrum
    if levels()[label].name == "C1" and "C2" in names:
        return "not_segmented"
    orders = [_by_name()[name].level_order for name in names]
    inside = orders and min(orders) < levels()[label].level_order < max(orders)
    return "absent_within_range" if inside else "absent_outside_fov"
