"""Table `vertebrae`: one row per canonical level, seen or not, and per vertebra without a name."""

from typing import Any

from columna.tables.common import (
    NAME_CODES,
    REGION_CODES,
    SAGITTAL_CODES,
    STATUS,
    VERTEBRA_CODES,
    confidence_columns,
    fold_dice_columns,
    identity_columns,
    implausible_count_column,
)
from columna.tables.measures import sagittal, since, with_status
from columna.tables.quality import judged_columns
from columna.tables.schema import Column, Table

PRESENCE = {
    "complete": "the whole body is in the field of view",
    "lateral_cut": "cut off at the left or right side only: the middle of the body is seen",
    "partial": "cut off by the field of view elsewhere, too close to its upper or lower edge, cut "
    "off at a side up to its middle, or without a body",
    "duplicate": "the level was assigned to more than one vertebra",
    "absent_outside_fov": "beyond the first or last vertebra found",
    "absent_within_range": "not found although levels above and below are",
    "not_segmented": "C1 where C2 is seen: models of T2w MRI do not segment it",
    "undetermined": "no vertebra could be named; the level may be among those found",
    "fragment": "no vertebra of its own: too small beside its neighbours, or without a body",
}

MEASURED = ("complete", "lateral_cut")
"""Presence of the vertebrae whose heights can be measured."""

ANCHORS = {
    "c2": "C2",
    "sacrum": "the sacrum",
    "both": "C2 and the sacrum",
    "given": "taken from the numbers of the mask that the cohort sheet names",
    "sheet": "what the cohort sheet says of the levels",
    "labeller": "no landmark: a labeller of one's own looked at each vertebra",
    "shape": "no landmark: sizes, shapes and distances of the vertebrae, and the end of the cord",
    "none": "nothing: there is no name, or it was assumed (label.naming is top_down)",
}

FRAME_SOURCES = {
    "canal": "the spinal canal behind the body",
    "arch": "the vertebra's arch and processes (no canal at its height)",
    "image": "the scan's own anterior axis (neither canal nor arch)",
}

SUBREGIONS = {
    "spinous": "spinous process",
    "costal_left": "left costal (transverse) process",
    "costal_right": "right costal (transverse) process",
    "sup_artic_left": "left superior articular process",
    "sup_artic_right": "right superior articular process",
    "inf_artic_left": "left inferior articular process",
    "inf_artic_right": "right inferior articular process",
}

VERTEBRA_VOLUME = {"cervical": (3e3, 2.2e4), "thoracic": (6e3, 6e4), "lumbar": (2.5e4, 1.1e5)}
BODY_VOLUME = {"cervical": (1.5e3, 1e4), "thoracic": (4e3, 4e4), "lumbar": (1.5e4, 8e4)}


def _level_columns() -> tuple[Column, ...]:
    named = {"status": "level_status", "null_rule": "the level has no name"}
    return (
        Column(
            "vertebra",
            "string",
            "Unique name within the scan: the level, or unnamed_ and index_from_top (two digits); "
            "a second vertebra of the same level is <level>_2, and a fragment fragment_<number>.",
            nullable=False,
        ),
        Column("level", "category", "Level.", codes=VERTEBRA_CODES, **named),
        Column("region", "category", "Region of the level.", codes=REGION_CODES, **named),
        Column(
            "level_order",
            "int32",
            "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, L5 = 25.",
            **named,
        ),
        Column("level_status", "category", "Naming.", codes=STATUS, nullable=False),
        *with_status(
            "found_status",
            "no vertebra",
            Column("level_anchor", "category", "What the name rests on.", codes=ANCHORS),
            Column("spineps_label", "int32", "Label in the instance mask."),
        ),
        *since(
            "1.3.0",
            *with_status(
                "level_p_status",
                "no vertebra, no name, or no probability was computed (given with the mask, or "
                "assumed)",
                Column(
                    "level_p_ratio",
                    "float64",
                    "Probability of the name (docs/levels.md).",
                    plausible=(0, 1),
                ),
                within="found_status",
            ),
            *with_status(
                "level_second_status",
                "no vertebra, or no probability was computed",
                Column(
                    "level_second",
                    "category",
                    "Second most probable name, of a vertebra without a name too; the table "
                    "level_posterior has all.",
                    codes=NAME_CODES,
                ),
                Column(
                    "level_second_p_ratio",
                    "float64",
                    "Its probability.",
                    plausible=(0, 0.5),
                ),
                within="found_status",
            ),
        ),
        *with_status(
            "index_status",
            "no vertebra, or a fragment",
            Column("index_from_top", "int32", "1 = topmost vertebra found."),
            within="found_status",
        ),
        *with_status(
            "index_from_c2_status",
            "no vertebra, above C2, or C2 is not recognised",
            Column("index_from_c2", "int32", "1 = C2, counting the vertebrae found."),
            within="index_status",
        ),
        *with_status(
            "index_from_sacrum_status",
            "no vertebra, or the sacrum is not seen well enough to count from",
            Column(
                "index_from_sacrum",
                "int32",
                "1 = last vertebra above the sacrum, counting the vertebrae found.",
            ),
            within="index_status",
        ),
    )


def _visibility_columns() -> tuple[Column, ...]:
    return (
        Column(
            "presence",
            "category",
            "Whether and how much of the vertebra is seen.",
            codes=PRESENCE,
            nullable=False,
            definition="G15",
        ),
        *with_status(
            "place_status",
            "no body was found",
            Column(
                "touches_fov",
                "bool",
                "Whether the body touches the edge of the field of view.",
                definition="G15",
            ),
            Column(
                "edge_faces",
                "string",
                "Faces of the field of view that the body touches, letters of SIAPLR; empty: none.",
                definition="G15",
            ),
            Column(
                "fov_distance_mm",
                "float64",
                "Smaller distance of the body to the superior and inferior edge of the field of "
                "view.",
                plausible=(0, None),
                reliability="A",
                definition="G15",
            ),
            *(
                Column(
                    f"centroid_{axis}_mm",
                    "float64",
                    f"Centroid of the visible body along the scanner's {name} axis (RAS+).",
                    reliability="A",
                    sign=f"+ = {name}",
                )
                for axis, name in (("r", "right"), ("a", "anterior"), ("s", "superior"))
            ),
            within="found_status",
        ),
        *with_status(
            "middle_width_status",
            "presence is not lateral_cut",
            Column(
                "middle_width_mm",
                "float64",
                "Width of what is seen of the body as far to the left of its middle as to the "
                "right, on which a body that is cut off at a side is measured.",
                plausible=(0, 80),
                reliability="C",
                definition="G15",
                since_version="1.2.0",
            ),
            within="place_status",
        ),
        *with_status(
            "visible_fraction_status",
            "presence is neither partial nor lateral_cut, or fewer than two bodies are complete",
            Column(
                "visible_fraction_ratio",
                "float64",
                "Visible volume of a cut body over the median of its two nearest complete "
                "neighbours.",
                plausible=(0, 1.3),
                reliability="C",
                definition="G15",
            ),
            within="place_status",
        ),
    )


def _volume_columns() -> tuple[Column, ...]:
    return (
        Column("vertebra_status", "category", "Whole vertebra.", codes=STATUS, nullable=False),
        Column(
            "vertebra_volume_mm3",
            "float64",
            "Volume of the vertebra: body, arch and processes, without endplates.",
            status="vertebra_status",
            null_rule="body or arch is not ok",
            plausible=VERTEBRA_VOLUME,
            reliability="B",
            definition="G1",
        ),
        Column(
            "body_share_ratio",
            "float64",
            "Volume of the body over volume of the vertebra.",
            status="vertebra_status",
            null_rule="body or arch is not ok",
            plausible=(0.2, 0.9),
            reliability="B",
        ),
        Column("body_status", "category", "Body.", codes=STATUS, nullable=False),
        Column(
            "body_volume_mm3",
            "float64",
            "Volume of the body (labels 49 and 50), without endplates.",
            status="body_status",
            null_rule="the body is not complete",
            plausible=BODY_VOLUME,
            reliability={"cervical": "B", "thoracic": "B", "lumbar": "A"},
            definition="G1",
        ),
        Column("arch_status", "category", "Arch and processes.", codes=STATUS, nullable=False),
        Column(
            "arch_volume_mm3",
            "float64",
            "Volume of arch and processes (labels 41 to 48).",
            status="arch_status",
            null_rule="any of them is cut off by the field of view",
            plausible=(0, None),
            reliability="C",
        ),
        *(
            column
            for name, text in SUBREGIONS.items()
            for column in with_status(
                f"{name}_status",
                "not segmented, or cut off by the field of view",
                Column(
                    f"{name}_volume_mm3",
                    "float64",
                    f"Volume of the {text}.",
                    plausible=(0, None),
                    reliability="C",
                ),
                within="found_status",
            )
        ),
    )


HEIGHT = {"cervical": (7, 22), "thoracic": (9, 34), "lumbar": (14, 42)}
DEPTH = {"cervical": (10, 26), "thoracic": (11, 44), "lumbar": (22, 52)}
WIDTH = {"cervical": (12, 34), "thoracic": (16, 56), "lumbar": (28, 68)}
_NEW = "1.1.0"


def _measure(name: str, description: str, group: str | None = None, **options: Any) -> Column:
    """A measure of the group whose status column is `group`; without one, `with_status` has it."""
    if group:
        options |= {"status": group, "null_rule": f"{group} is not ok"}
    return Column(name, "float64", description, since_version=_NEW, **options)


def _seam_columns() -> tuple[Column, ...]:
    rule = "no body was found, or the stations of the scan are not known"
    return (
        *with_status(
            "stitch_status",
            rule,
            Column(
                "is_crossing_stitch",
                "bool",
                "Whether a seam between stations runs through the body.",
                since_version=_NEW,
            ),
            within="place_status",
        ),
        *with_status(
            "stitch_distance_status",
            f"{rule}, or it has one station",
            Column(
                "stitch_distance_mm",
                "float64",
                "Distance of the body to the nearest seam between stations.",
                plausible=(0, None),
                since_version=_NEW,
            ),
            within="stitch_status",
        ),
    )


def _frame_columns() -> tuple[Column, ...]:
    group = "frame_status"
    return (
        *with_status(
            "curve_position_status",
            "no body was found, or a fragment",
            _measure(
                "curve_position_mm",
                "Place of the body along the curve of the spine, from the uppermost body found.",
                reliability="A",
                definition="G2",
                sign="+ = caudal",
            ),
            within="place_status",
        ),
        Column(
            group,
            "category",
            "Direction of the body.",
            codes=STATUS,
            nullable=False,
            value_codes=SAGITTAL_CODES,
            definition="G3",
            since_version=_NEW,
        ),
        Column(
            "frame_source",
            "category",
            "What tells anterior from posterior.",
            codes=FRAME_SOURCES,
            status=group,
            null_rule=f"{group} is not ok",
            definition="G3",
            since_version=_NEW,
        ),
        _measure(
            "axis_sagittal_deg",
            "Tilt of the body's upward axis against the scanner's, seen from the side.",
            group,
            plausible=(-90, 90),
            reliability="A",
            definition="G3",
            sign="+ = upper end anterior",
        ),
        Column(
            "bodies_touching_n",
            "int32",
            "Neighbours whose body lies on at least a fifth of an endplate (suspected fusion).",
            status=group,
            null_rule=f"{group} is not ok",
            plausible=(0, 2),
            reliability="B",
            since_version=_NEW,
        ),
        *with_status(
            "axis_coronal_status",
            f"{group} is not ok",
            _measure(
                "axis_coronal_deg",
                "Tilt of the body's upward axis against the scanner's, seen from the front.",
                plausible=(-45, 45),
                reliability="B",
                definition="G3",
                sign="+ = upper end to the patient's right",
            ),
            within=group,
        ),
        *with_status(
            "axial_rotation_status",
            f"{group} is not ok, or it has no neighbours",
            _measure(
                "axial_rotation_deg",
                "Turn about its own axis against the mean of the vertebrae above and below.",
                plausible=(-30, 30),
                reliability="C",
                definition="G3",
                sign="+ = front turned to the patient's right",
            ),
            within=group,
        ),
    )


def _height_columns() -> tuple[Column, ...]:
    group = "heights_status"
    size = {"group": group, "plausible": HEIGHT}
    return (
        Column(
            group,
            "category",
            "Heights, depths and wedges of the body (C2: not applicable, it bears the dens).",
            codes=STATUS,
            nullable=False,
            value_codes=SAGITTAL_CODES,
            definition="G6",
            since_version=_NEW,
        ),
        *(
            _measure(
                f"height_{name}_mm",
                f"Height of the body in its {name} band, at {where} of its depth from the "
                "posterior wall; without endplates.",
                reliability="A",
                definition="G6",
                **size,
            )
            for name, where in (
                ("anterior", "0.80 to 0.92"),
                ("middle", "0.44 to 0.56"),
                ("posterior", "0.08 to 0.20"),
            )
        ),
        _measure(
            "height_mean_mm",
            "Mean height between 0.12 and 0.88 of the depth.",
            reliability="A",
            definition="G6",
            **size,
        ),
        _measure(
            "height_min_mm",
            "Smallest height between 0.12 and 0.88 of the depth, of medians over the band.",
            reliability="A",
            definition="G6",
            **size,
        ),
        _measure(
            "depth_mm",
            "Anterior-posterior depth at mid-height.",
            group,
            plausible=DEPTH,
            reliability="A",
            definition="G5",
        ),
        *_across_columns(group),
        *sagittal(*_edge_columns("frame_status")),
        *sagittal(*_band_columns(group)),
        *sagittal(*_wedge_columns(group)),
    )


def _across_columns(group: str) -> tuple[Column, ...]:
    """What needs the sides of the body, and most of it enough slices."""
    return (
        *with_status(
            "lateral_wedge_status",
            f"{group} is not ok",
            _measure(
                "lateral_wedge_deg",
                "Angle between the endplate planes, seen from the front.",
                plausible=(-20, 20),
                reliability={"cervical": "C", "thoracic": "B", "lumbar": "B"},
                definition="G3",
                sign="+ = right side shorter",
            ),
            within=group,
        ),
        *(
            column
            for side in ("left", "right")
            for column in with_status(
                f"height_{side}_status",
                f"{group} is not ok, or fewer than 3 slices on a side",
                _measure(
                    f"height_{side}_mm",
                    f"Height at 0.30 of the width to the patient's {side}.",
                    plausible=HEIGHT,
                    reliability="B",
                    definition="G6",
                ),
                within=group,
            )
        ),
        *with_status(
            "width_status",
            f"{group} is not ok, or it is narrower than 4 slices",
            _measure(
                "width_mm",
                "Left-right width at mid-height.",
                plausible=WIDTH,
                reliability="C",
                definition="G5",
            ),
            _measure(
                "body_compactness_ratio",
                "Volume of the body over depth x width x mean height.",
                plausible=(0.4, 1.2),
                reliability="C",
            ),
            within=group,
        ),
    )


def _edge_columns(group: str) -> tuple[Column, ...]:
    """What is measured of each end of the body, also of the lower one of C2."""
    rule = f"{group} is not ok, it is the upper end of C2, or it could not be measured"
    return tuple(
        column
        for side in ("superior", "inferior")
        for column in (
            *with_status(
                f"depth_{side}_status",
                rule,
                _measure(
                    f"depth_{side}_mm",
                    f"Anterior-posterior depth 2 mm inside of the {side} endplate line.",
                    plausible=DEPTH,
                    reliability="B",
                    definition="G5",
                ),
                within=group,
            ),
            *with_status(
                f"{side}_concavity_status",
                rule,
                _measure(
                    f"{side}_concavity_mm",
                    f"Concavity of the {side} endplate (concavity_mm of the table endplates).",
                    plausible=(-3, 12),
                    reliability={"cervical": "B", "thoracic": "B", "lumbar": "A"},
                    sign="+ = concave",
                ),
                within=group,
            ),
        )
    )


def _band_columns(group: str) -> tuple[Column, ...]:
    return (
        Column(
            "n_native_slices_in_band_n",
            "int32",
            "Slices of the scan whose middle lies in the mid-sagittal band of the body.",
            status=group,
            null_rule=f"{group} is not ok",
            definition="G4",
            since_version=_NEW,
        ),
        *with_status(
            "posterior_wall_status",
            f"{group} is not ok, or the wall was not found",
            _measure(
                "posterior_wall_deg",
                "Angle of the posterior wall against the body's upward axis.",
                plausible=(-40, 40),
                reliability={"cervical": "B", "thoracic": "A", "lumbar": "A"},
                definition="G10",
                sign="+ = upper end anterior",
            ),
            within=group,
        ),
    )


def _wedge_columns(group: str) -> tuple[Column, ...]:
    return (
        _measure(
            "wedge_angle_deg",
            "Angle between the endplate lines.",
            group,
            plausible=(-30, 45),
            reliability={"cervical": "B", "thoracic": "A", "lumbar": "A"},
            definition="G7",
            sign="+ = anterior height smaller (kyphotic)",
        ),
        _measure(
            "wedge_ratio",
            "Anterior over posterior height.",
            group,
            plausible=(0.2, 1.8),
            reliability="A",
        ),
        _measure(
            "biconcavity_ratio",
            "Middle over posterior height.",
            group,
            plausible=(0.3, 1.4),
            reliability="A",
        ),
        *with_status(
            "crush_neighbours_status",
            f"{group} is not ok, or no complete body on one side",
            _measure(
                "crush_neighbours_ratio",
                "Posterior height over that of the nearest complete bodies above and below, "
                "interpolated.",
                plausible=(0.3, 1.7),
                reliability="A",
            ),
            within=group,
        ),
        *with_status(
            "height_loss_status",
            f"{group} is not ok, or fewer than 4 complete bodies within 4 levels",
            *(
                _measure(
                    f"height_loss_{name}_pct",
                    f"What the {name} height lacks of the height that the complete bodies within "
                    "4 levels lead one to expect (robust parabola; straight line at the ends and "
                    "with fewer than 6).",
                    plausible=(-60, 90),
                    reliability="A",
                )
                for name in ("anterior", "middle", "posterior")
            ),
            within=group,
        ),
        *with_status(
            "genant_like_status",
            "switched off (measure.genant_like_grade), or height_loss_status is not ok",
            Column(
                "genant_like_grade",
                "int32",
                "Grade 0 to 3 by the largest height loss: up to 20, 25, 40 % and above. A "
                "surrogate from measures, not a reading.",
                plausible=(0, 3),
                reliability="B",
                since_version=_NEW,
                is_default=False,
            ),
            within="height_loss_status",
        ),
    )


def _signal_columns() -> tuple[Column, ...]:
    group = "signal_status"
    return (
        Column(
            group,
            "category",
            "Signal of the body.",
            codes=STATUS,
            nullable=False,
            definition="G14",
            since_version=_NEW,
        ),
        _measure(
            "signal_body_au",
            "Median signal of the body without its outermost voxels; comparable within a scan.",
            group,
            reliability="B",
            definition="G14",
        ),
        *with_status(
            "body_csf_status",
            f"{group} is not ok, there is too little fluid, or a signal is not positive",
            _measure(
                "signal_body_csf_ratio",
                "signal_body_au over the signal of the fluid within 15 mm along the spine. Not "
                "the VBQ score, which is defined on T1w images.",
                plausible=(0.02, 3),
                reliability="B",
                definition="G14",
            ),
            within=group,
        ),
        *with_status(
            "body_disc_status",
            f"{group} is not ok, both discs are missing, or a signal is not positive",
            _measure(
                "signal_body_disc_ratio",
                "signal_body_au over the mean of the median signals of the discs above and below.",
                plausible=(0.02, 3),
                reliability="B",
                definition="G14",
            ),
            within=group,
        ),
        *with_status(
            "signal_cv_status",
            f"{group} is not ok, or the mean is not positive",
            _measure(
                "signal_body_cv_ratio",
                "Standard deviation over mean of the signal of the body without its outermost "
                "voxels.",
                plausible=(0, 1.5),
                reliability="B",
                definition="G14",
            ),
            within=group,
        ),
    )


VERTEBRAE = Table(
    name="vertebrae",
    title="Vertebrae",
    description=(
        "One row for every level C1 to L5 of every measured scan, whether or not it was seen (see "
        "presence), and for T13 and L6 where they were labelled. Vertebrae that could not be named "
        "have rows of their own, without a level. Join on scan_id and level; vertebra is the name "
        "that never is missing."
    ),
    key=("scan_id", "vertebra"),
    sort=(
        "participant_id",
        "session_id",
        "scan_id",
        "level_order",
        "index_from_top",
        "vertebra",
    ),
    columns=(
        *identity_columns(),
        *_level_columns(),
        *_visibility_columns(),
        *_volume_columns(),
        *_seam_columns(),
        *_frame_columns(),
        *_height_columns(),
        *sagittal(*_signal_columns()),
        *confidence_columns("the body"),
        *fold_dice_columns("the body"),
        implausible_count_column(),
        *judged_columns("names", "bodies", "posterior"),
    ),
)
