"""Table `vertebrae`: one row per canonical level, seen or not, and per vertebra without a name."""

from dataclasses import replace

from columna.tables.common import (
    NAME_CODES,
    REGION_CODES,
    VERTEBRA_CODES,
    confidence_columns,
    fold_dice_columns,
    identity_columns,
    implausible_count_column,
)
from columna.tables.measures import (
    category,
    count,
    flag,
    in_group,
    measure,
    predicted_dice_columns,
    regional,
    required,
    sagittal,
    since,
    status_column,
    text,
    with_status,
)
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
    "reviewed": "what a person has decided, or the number of a mask that a person has edited",
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

VERTEBRA_VOLUME = regional((3e3, 2.2e4), (6e3, 6e4), (2.5e4, 1.1e5))
BODY_VOLUME = regional((1.5e3, 1e4), (4e3, 4e4), (1.5e4, 8e4))
HEIGHT = regional((7, 22), (9, 34), (14, 42))
DEPTH = regional((10, 26), (11, 44), (22, 52))
WIDTH = regional((12, 34), (16, 56), (28, 68))


def _level_columns() -> tuple[Column, ...]:
    return (
        *required(
            text(
                "vertebra",
                "Unique name within the scan: the level, or unnamed_ and index_from_top (two "
                "digits); a second vertebra of the same level is <level>_2, and a fragment "
                "fragment_<number>.",
            )
        ),
        *in_group(
            "level_status",
            "the level has no name",
            category("level", "Level.", VERTEBRA_CODES),
            category("region", "Region of the level.", REGION_CODES),
            count(
                "level_order",
                "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, L5 = 25.",
            ),
        ),
        status_column("level_status", "Naming."),
        *with_status(
            "found_status",
            "no vertebra",
            category("level_anchor", "What the name rests on.", ANCHORS),
            count("spineps_label", "Label in the instance mask."),
        ),
        *since(
            "1.3.0",
            *with_status(
                "level_p_status",
                "no vertebra, no name, or no probability was computed (given with the mask, or "
                "assumed)",
                measure("level_p_ratio", "Probability of the name (docs/levels.md).", (0, 1)),
                within="found_status",
            ),
            *with_status(
                "level_second_status",
                "no vertebra, or no probability was computed",
                category(
                    "level_second",
                    "Second most probable name, of a vertebra without a name too; the table "
                    "level_posterior has all.",
                    NAME_CODES,
                ),
                measure("level_second_p_ratio", "Its probability.", (0, 0.5)),
                within="found_status",
            ),
        ),
        *with_status(
            "index_status",
            "no vertebra, or a fragment",
            count("index_from_top", "1 = topmost vertebra found."),
            within="found_status",
        ),
        *since(
            "1.4.0",
            *with_status(
                "review_position_status",
                "no vertebra, or it was added in a corrected mask",
                count(
                    "review_position",
                    "Number by which corrections name it (docs/corrections.md): 1 = topmost "
                    "instance of the result without corrections, fragments included.",
                ),
                within="found_status",
            ),
        ),
        *with_status(
            "index_from_c2_status",
            "no vertebra, above C2, or C2 is not recognised",
            count("index_from_c2", "1 = C2, counting the vertebrae found."),
            within="index_status",
        ),
        *with_status(
            "index_from_sacrum_status",
            "no vertebra, or the sacrum is not seen well enough to count from",
            count(
                "index_from_sacrum",
                "1 = last vertebra above the sacrum, counting the vertebrae found.",
            ),
            within="index_status",
        ),
    )


def _visibility_columns() -> tuple[Column, ...]:
    return (
        *required(
            category("presence", "Whether and how much of the vertebra is seen.", PRESENCE, "G15")
        ),
        *with_status(
            "place_status",
            "no body was found",
            flag("touches_fov", "Whether the body touches the edge of the field of view.", "G15"),
            text(
                "edge_faces",
                "Faces of the field of view that the body touches, letters of SIAPLR; empty: none.",
                "G15",
            ),
            measure(
                "fov_distance_mm",
                "Smaller distance of the body to the superior and inferior edge of the field of "
                "view.",
                (0, None),
                "A",
                "G15",
            ),
            *(
                measure(
                    f"centroid_{axis}_mm",
                    f"Centroid of the visible body along the scanner's {name} axis (RAS+).",
                    tier="A",
                    sign=f"+ = {name}",
                )
                for axis, name in (("r", "right"), ("a", "anterior"), ("s", "superior"))
            ),
            within="found_status",
        ),
        *since(
            "1.2.0",
            *with_status(
                "middle_width_status",
                "presence is not lateral_cut",
                measure(
                    "middle_width_mm",
                    "Width of what is seen of the body as far to the left of its middle as to the "
                    "right, on which a body that is cut off at a side is measured.",
                    (0, 80),
                    "C",
                    "G15",
                ),
                within="place_status",
            ),
        ),
        *with_status(
            "visible_fraction_status",
            "presence is neither partial nor lateral_cut, or fewer than two bodies are complete",
            measure(
                "visible_fraction_ratio",
                "Visible volume of a cut body over the median of its two nearest complete "
                "neighbours.",
                (0, 1.3),
                "C",
                "G15",
            ),
            within="place_status",
        ),
    )


def _volume_columns() -> tuple[Column, ...]:
    return (
        status_column("vertebra_status", "Whole vertebra."),
        *in_group(
            "vertebra_status",
            "body or arch is not ok",
            measure(
                "vertebra_volume_mm3",
                "Volume of the vertebra: body, arch and processes, without endplates.",
                VERTEBRA_VOLUME,
                "B",
                "G1",
            ),
            measure(
                "body_share_ratio",
                "Volume of the body over volume of the vertebra.",
                (0.2, 0.9),
                "B",
                formula=lambda body_volume_mm3, vertebra_volume_mm3: (
                    body_volume_mm3 / vertebra_volume_mm3
                ),
            ),
        ),
        status_column("body_status", "Body."),
        *in_group(
            "body_status",
            "the body is not complete",
            measure(
                "body_volume_mm3",
                "Volume of the body (labels 49 and 50), without endplates.",
                BODY_VOLUME,
                regional("B", "B", "A"),
                "G1",
            ),
        ),
        status_column("arch_status", "Arch and processes."),
        *in_group(
            "arch_status",
            "any of them is cut off by the field of view",
            measure(
                "arch_volume_mm3",
                "Volume of arch and processes (labels 41 to 48).",
                (0, None),
                "C",
            ),
        ),
        *(
            column
            for name, part in SUBREGIONS.items()
            for column in with_status(
                f"{name}_status",
                "not segmented, or cut off by the field of view",
                measure(f"{name}_volume_mm3", f"Volume of the {part}.", (0, None), "C"),
                within="found_status",
            )
        ),
    )


def _seam_columns() -> tuple[Column, ...]:
    rule = "no body was found, or the stations of the scan are not known"
    return (
        *with_status(
            "stitch_status",
            rule,
            flag("is_crossing_stitch", "Whether a seam between stations runs through the body."),
            within="place_status",
        ),
        *with_status(
            "stitch_distance_status",
            f"{rule}, or it has one station",
            measure(
                "stitch_distance_mm",
                "Distance of the body to the nearest seam between stations.",
                (0, None),
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
            measure(
                "curve_position_mm",
                "Place of the body along the curve of the spine, from the uppermost body found.",
                tier="A",
                definition="G2",
                sign="+ = caudal",
            ),
            within="place_status",
        ),
        *sagittal(status_column(group, "Direction of the body.", definition="G3")),
        *in_group(
            group,
            f"{group} is not ok",
            category("frame_source", "What tells anterior from posterior.", FRAME_SOURCES, "G3"),
            measure(
                "axis_sagittal_deg",
                "Tilt of the body's upward axis against the scanner's, seen from the side.",
                (-90, 90),
                "A",
                "G3",
                "+ = upper end anterior",
            ),
            replace(
                count(
                    "bodies_touching_n",
                    "Neighbours whose body lies on at least a fifth of an endplate (suspected "
                    "fusion).",
                    (0, 2),
                ),
                reliability="B",
            ),
        ),
        *with_status(
            "axis_coronal_status",
            f"{group} is not ok",
            measure(
                "axis_coronal_deg",
                "Tilt of the body's upward axis against the scanner's, seen from the front.",
                (-45, 45),
                "B",
                "G3",
                "+ = upper end to the patient's right",
            ),
            within=group,
        ),
        *with_status(
            "axial_rotation_status",
            f"{group} is not ok, or it has no neighbours",
            measure(
                "axial_rotation_deg",
                "Turn about its own axis against the mean of the vertebrae above and below.",
                (-30, 30),
                "C",
                "G3",
                "+ = front turned to the patient's right",
            ),
            within=group,
        ),
    )


BANDS = {
    "anterior": "0.80 to 0.92",
    "middle": "0.44 to 0.56",
    "posterior": "0.08 to 0.20",
}
"""Bands of the body whose heights are measured -> their part of its depth."""


def _height_columns() -> tuple[Column, ...]:
    group = "heights_status"
    return (
        *sagittal(
            status_column(
                group,
                "Heights, depths and wedges of the body (C2: not applicable, it bears the dens).",
                definition="G6",
            )
        ),
        *in_group(
            group,
            f"{group} is not ok",
            *(
                measure(
                    f"height_{name}_mm",
                    f"Height of the body in its {name} band, at {where} of its depth from the "
                    "posterior wall; without endplates.",
                    HEIGHT,
                    "A",
                    "G6",
                )
                for name, where in BANDS.items()
            ),
            measure(
                "height_mean_mm",
                "Mean height between 0.12 and 0.88 of the depth.",
                HEIGHT,
                "A",
                "G6",
            ),
            measure(
                "height_min_mm",
                "Smallest height between 0.12 and 0.88 of the depth, of medians over the band.",
                HEIGHT,
                "A",
                "G6",
            ),
            measure("depth_mm", "Anterior-posterior depth at mid-height.", DEPTH, "A", "G5"),
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
            measure(
                "lateral_wedge_deg",
                "Angle between the endplate planes, seen from the front.",
                (-20, 20),
                regional("C", "B", "B"),
                "G3",
                "+ = right side shorter",
            ),
            within=group,
        ),
        *(
            column
            for side in ("left", "right")
            for column in with_status(
                f"height_{side}_status",
                f"{group} is not ok, or fewer than 3 slices on a side",
                measure(
                    f"height_{side}_mm",
                    f"Height at 0.30 of the width to the patient's {side}.",
                    HEIGHT,
                    "B",
                    "G6",
                ),
                within=group,
            )
        ),
        *with_status(
            "width_status",
            f"{group} is not ok, or it is narrower than 4 slices",
            measure("width_mm", "Left-right width at mid-height.", WIDTH, "C", "G5"),
            measure(
                "body_compactness_ratio",
                "Volume of the body over depth x width x mean height.",
                (0.4, 1.2),
                "C",
                formula=lambda width_mm, depth_mm, height_mean_mm, body_volume_mm3: (
                    body_volume_mm3 / (depth_mm * width_mm * height_mean_mm)
                ),
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
                measure(
                    f"depth_{side}_mm",
                    f"Anterior-posterior depth 2 mm inside of the {side} endplate line.",
                    DEPTH,
                    "B",
                    "G5",
                ),
                within=group,
            ),
            *with_status(
                f"{side}_concavity_status",
                rule,
                measure(
                    f"{side}_concavity_mm",
                    f"Concavity of the {side} endplate (concavity_mm of the table endplates).",
                    (-3, 12),
                    regional("B", "B", "A"),
                    sign="+ = concave",
                ),
                within=group,
            ),
        )
    )


def _band_columns(group: str) -> tuple[Column, ...]:
    return (
        *in_group(
            group,
            f"{group} is not ok",
            count(
                "n_native_slices_in_band_n",
                "Slices of the scan whose middle lies in the mid-sagittal band of the body.",
                definition="G4",
            ),
        ),
        *with_status(
            "posterior_wall_status",
            f"{group} is not ok, or the wall was not found",
            measure(
                "posterior_wall_deg",
                "Angle of the posterior wall against the body's upward axis.",
                (-40, 40),
                regional("B", "A", "A"),
                "G10",
                "+ = upper end anterior",
            ),
            within=group,
        ),
    )


def _wedge_columns(group: str) -> tuple[Column, ...]:
    return (
        *in_group(
            group,
            f"{group} is not ok",
            measure(
                "wedge_angle_deg",
                "Angle between the endplate lines.",
                (-30, 45),
                regional("B", "A", "A"),
                "G7",
                "+ = anterior height smaller (kyphotic)",
            ),
            measure(
                "wedge_ratio",
                "Anterior over posterior height.",
                (0.2, 1.8),
                "A",
                formula=lambda height_anterior_mm, height_posterior_mm: (
                    height_anterior_mm / height_posterior_mm
                ),
            ),
            measure(
                "biconcavity_ratio",
                "Middle over posterior height.",
                (0.3, 1.4),
                "A",
                formula=lambda height_middle_mm, height_posterior_mm: (
                    height_middle_mm / height_posterior_mm
                ),
            ),
        ),
        *with_status(
            "crush_neighbours_status",
            f"{group} is not ok, or no complete body on one side",
            measure(
                "crush_neighbours_ratio",
                "Posterior height over that of the nearest complete bodies above and below, "
                "interpolated.",
                (0.3, 1.7),
                "A",
            ),
            within=group,
        ),
        *with_status(
            "height_loss_status",
            f"{group} is not ok, or fewer than 4 complete bodies within 4 levels",
            *(
                measure(
                    f"height_loss_{name}_pct",
                    f"What the {name} height lacks of the height that the complete bodies within "
                    "4 levels lead one to expect (robust parabola; straight line at the ends and "
                    "with fewer than 6).",
                    (-60, 90),
                    "A",
                )
                for name in BANDS
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
                is_default=False,
            ),
            within="height_loss_status",
        ),
    )


def _signal_columns() -> tuple[Column, ...]:
    group = "signal_status"
    return (
        status_column(group, "Signal of the body.", definition="G14"),
        *in_group(
            group,
            f"{group} is not ok",
            measure(
                "signal_body_au",
                "Median signal of the body without its outermost voxels; comparable within a scan.",
                tier="B",
                definition="G14",
            ),
        ),
        *with_status(
            "body_csf_status",
            f"{group} is not ok, there is too little fluid, or a signal is not positive",
            measure(
                "signal_body_csf_ratio",
                "signal_body_au over the signal of the fluid within 15 mm along the spine. Not "
                "the VBQ score, which is defined on T1w images.",
                (0.02, 3),
                "B",
                "G14",
            ),
            within=group,
        ),
        *with_status(
            "body_disc_status",
            f"{group} is not ok, both discs are missing, or a signal is not positive",
            measure(
                "signal_body_disc_ratio",
                "signal_body_au over the mean of the median signals of the discs above and below.",
                (0.02, 3),
                "B",
                "G14",
            ),
            within=group,
        ),
        *with_status(
            "signal_cv_status",
            f"{group} is not ok, or the mean is not positive",
            measure(
                "signal_body_cv_ratio",
                "Standard deviation over mean of the signal of the body without its outermost "
                "voxels.",
                (0, 1.5),
                "B",
                "G14",
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
        *since(
            "1.1.0",
            *_seam_columns(),
            *_frame_columns(),
            *_height_columns(),
            *sagittal(*_signal_columns()),
        ),
        *confidence_columns("the body"),
        *fold_dice_columns("the body"),
        *predicted_dice_columns("body", "the body"),
        *predicted_dice_columns("posterior", "arch and processes"),
        implausible_count_column(),
        *judged_columns("names", "bodies", "posterior"),
    ),
)
