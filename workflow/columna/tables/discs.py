"""Table `discs`: one row per disc space below C2 to L5, seen or not."""

from columna.tables.common import (
    REGION_CODES,
    VERTEBRA_CODES,
    identity_columns,
    implausible_count_column,
)
from columna.tables.measures import (
    category,
    count,
    in_group,
    level_column,
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
    "complete": "the whole disc is in the field of view",
    "lateral_cut": "cut off at the left or right side only: the middle of the disc is seen",
    "partial": "cut off by the field of view elsewhere, too close to its upper or lower edge, or "
    "cut off at a side up to its middle",
    "duplicate": "the level above was assigned to more than one vertebra",
    "absent_outside_fov": "beyond the first or last disc found",
    "absent_within_range": "not found although both vertebrae, or levels above and below, are",
    "undetermined": "no vertebra could be named; the disc may be among those found",
}

TISSUE_HEIGHT = regional((1, 12), (0.8, 12), (1, 24))
GAP_HEIGHT = regional((1, 14), (1, 14), (1, 26))
HEIGHTS = {
    "anterior": "in front (fractions .80, .84, .88 of the disc's depth, from behind)",
    "middle": "in the middle (.44, .50, .56)",
    "posterior": "behind (.12, .16, .20)",
    "mean": "on average from .12 to .88",
}
_RATIO = (0, 2)
_SAGITTAL = {"cervical": "B", "thoracic": "A", "lumbar": "A"}


def _place_columns() -> tuple[Column, ...]:
    return (
        *required(
            text("disc", "Unique name within the scan: the vertebrae above and below it (L4-L5)."),
            text(
                "vertebra_upper",
                "Vertebra above, as the table vertebrae names it (column vertebra).",
            ),
        ),
        *with_status(
            "level_status",
            "the vertebra above has no name",
            category("level_upper", "Level above.", VERTEBRA_CODES),
            category("region", "Region of the level above.", REGION_CODES),
            count(
                "level_order",
                "Anatomical rank of the level above: C2 = 2, T12 = 19, T13 = 20, L1 = 21, L5 = 25.",
            ),
        ),
        *with_status(
            "level_lower_status",
            "the vertebra below has no name",
            level_column(
                "level_lower",
                "Level below: the next one found, otherwise the next one of normal anatomy.",
            ),
        ),
        *with_status(
            "index_status",
            "the vertebra above was not found",
            count("index_from_top", "That of the vertebra above (table vertebrae)."),
        ),
        *required(
            category("presence", "Whether and how much of the disc is seen.", PRESENCE, "G15")
        ),
        *with_status(
            "volume_status",
            "presence is not complete",
            measure(
                "volume_mm3",
                "Volume of the disc.",
                regional((200, 3500), (400, 12000), (2000, 3e4)),
                "B",
                "G1",
            ),
        ),
    )


def _tissue_columns() -> tuple[Column, ...]:
    return (
        *sagittal(status_column("disc_status", "Disc tissue.")),
        *in_group(
            "disc_status",
            "the disc is not complete, or too thin or too bent for the columns",
            *(
                measure(
                    f"disc_height_{name}_mm",
                    f"Extent of the disc {text}.",
                    TISSUE_HEIGHT,
                    "A",
                    "G9",
                )
                for name, text in HEIGHTS.items()
            ),
            measure(
                "disc_depth_mm",
                "Extent of the disc from back to front, mid-sagittal band.",
                regional((9, 28), (11, 46), (20, 56)),
                "A",
                "G9",
            ),
        ),
        *with_status(
            "disc_width_status",
            "disc_status is not ok, or fewer than four slices meet the disc",
            measure(
                "disc_width_mm",
                "Extent of the disc from left to right.",
                regional((9, 40), (12, 64), (22, 80)),
                "C",
                "G9",
            ),
            within="disc_status",
        ),
        *sagittal(
            *(
                column
                for side, where in (("posterior", "behind"), ("anterior", "in front of"))
                for column in with_status(
                    f"{side}_overhang_status",
                    "disc_status is not ok, or a corner of a vertebra is not known",
                    measure(
                        f"{side}_overhang_mm",
                        f"How far the disc reaches {where} the line between the neighbouring "
                        f"{side} corners, at most.",
                        (-6, 15),
                        "B",
                        "G10",
                        "+ = beyond the line",
                    ),
                    within="disc_status",
                )
            ),
        ),
    )


def _gap_columns() -> tuple[Column, ...]:
    return (
        status_column("gap_status", "Space between the bodies."),
        *in_group(
            "gap_status",
            "disc_status is not ok, or a neighbouring body is missing or not hit",
            *(
                measure(
                    f"gap_{name}_mm",
                    f"Distance of the two bodies {text}, on the columns of the disc: disc and both "
                    "endplates, the disc height of radiographs.",
                    GAP_HEIGHT,
                    "A",
                    "G9",
                )
                for name, text in HEIGHTS.items()
            ),
            measure(
                "height_index_farfan_ratio",
                "gap_anterior_mm plus gap_posterior_mm over disc_depth_mm.",
                (0.03, 1.5),
                "A",
                formula=lambda gap_anterior_mm, gap_posterior_mm, disc_depth_mm: (
                    (gap_anterior_mm + gap_posterior_mm) / disc_depth_mm
                ),
            ),
        ),
        *with_status(
            "height_index_status",
            "gap_status is not ok, or the length of a neighbouring endplate is missing",
            measure(
                "height_index_ratio",
                "gap_mean_mm over the mean of the neighbouring endplates' lengths "
                "(depth_inferior_mm above, depth_superior_mm below).",
                (0.03, 0.8),
                "A",
            ),
            within="gap_status",
        ),
        *with_status(
            "height_body_status",
            "gap_status is not ok, or the height of the vertebra above is missing",
            measure(
                "height_body_ratio",
                "gap_middle_mm over height_middle_mm of the vertebra above.",
                (0.03, 1),
                "A",
            ),
            within="gap_status",
        ),
        *with_status(
            "tiling_status",
            "gap_status is not ok, or an endplate next to the disc is not segmented",
            measure(
                "tiling_residual_mm",
                "gap_middle_mm minus disc_height_middle_mm minus the thicknesses of both "
                "endplates: space between the bodies that no structure claims.",
                (-2, 4),
            ),
            within="gap_status",
        ),
    )


def _angle_columns() -> tuple[Column, ...]:
    rule = "a neighbouring vertebra, or its endplate, is missing"
    return (
        status_column("angle_status", "Angles."),
        *in_group(
            "angle_status",
            rule,
            measure(
                "disc_angle_deg",
                "Angle between the neighbouring endplates in the sagittal plane.",
                (-25, 35),
                _SAGITTAL,
                "G9",
                "+ = opens to the front (lordotic)",
            ),
        ),
        *with_status(
            "segment_angle_status",
            "angle_status is not ok, or the upper endplate of the vertebra above is not seen",
            measure(
                "segment_angle_deg",
                "Angle from the upper endplate of the vertebra above to that of the one below.",
                (-35, 45),
                _SAGITTAL,
                "G12",
                "+ = lordotic",
            ),
            within="angle_status",
        ),
        *with_status(
            "listhesis_status",
            "angle_status is not ok, or a posterior wall is not seen",
            measure(
                "listhesis_mm",
                "Offset of the posterior lower corner above from the posterior upper corner below, "
                "along the endplate below.",
                (-20, 30),
                "B",
                "G10",
                "+ = the vertebra above lies anterior",
            ),
            measure(
                "listhesis_pct",
                "listhesis_mm over the length of the endplate below.",
                (-60, 100),
                "B",
                "G10",
                "+ = the vertebra above lies anterior",
            ),
            within="angle_status",
        ),
    )


def _lateral_angle_columns() -> tuple[Column, ...]:
    return with_status(
        "lateral_angle_status",
        "angle_status is not ok",
        measure(
            "disc_lateral_angle_deg",
            "Angle between the neighbouring endplate planes in the coronal plane.",
            (-20, 20),
            {"cervical": "C", "thoracic": "B", "lumbar": "B"},
            "G9",
            "+ = opens to the right",
        ),
        within="angle_status",
    )


def _signal_columns() -> tuple[Column, ...]:
    return (
        status_column("signal_status", "Signal."),
        *in_group(
            "signal_status",
            "no image, or the disc is not complete or too small",
            measure("signal_disc_au", "Median signal of the disc.", None, "B", "G14"),
        ),
        *with_status(
            "disc_csf_status",
            "signal_status is not ok, there is too little fluid nearby, or a signal is negative",
            measure("signal_disc_csf_ratio", "Median over fluid.", _RATIO, "B", "G14"),
            measure("signal_p90_csf_ratio", "90th percentile over fluid.", _RATIO, "B", "G14"),
            measure("signal_p10_csf_ratio", "10th percentile over fluid.", _RATIO, "B", "G14"),
            measure(
                "signal_contrast_ratio",
                "90th minus 10th percentile over fluid: nucleus against annulus.",
                _RATIO,
                "B",
                "G14",
            ),
            within="signal_status",
        ),
        *with_status(
            "signal_central_status",
            "disc_csf_status or disc_status is not ok, or the ellipse is too small",
            measure(
                "signal_central_csf_ratio",
                "Mean over fluid in the central ellipse (half the depth, half the width).",
                _RATIO,
                "B",
                "G14",
            ),
            within="disc_csf_status",
        ),
    )


DISCS = Table(
    name="discs",
    title="Intervertebral discs",
    description=(
        "One row for the disc space below every level C2 to L5 of every measured scan, whether or "
        "not it was seen (see presence), and below T13 and L6 where they were labelled. The last "
        "one lies above the sacrum, whichever vertebra that is. Spaces below vertebrae without a "
        "name have rows of their own. Grades of degeneration are not derived: signal and heights "
        "are what they would be calibrated from."
    ),
    key=("scan_id", "disc"),
    sort=("participant_id", "session_id", "scan_id", "level_order", "index_from_top", "disc"),
    columns=since(
        "1.1.0",
        *identity_columns(),
        *_place_columns(),
        *_tissue_columns(),
        *sagittal(*_gap_columns()),
        *sagittal(*_angle_columns()),
        *_lateral_angle_columns(),
        *sagittal(*_signal_columns()),
        *predicted_dice_columns("disc", "the disc"),
        implausible_count_column(),
        *judged_columns("discs"),
    ),
)
