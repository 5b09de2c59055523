"""Table `spine`: one row per scan, angles and lengths of the whole column."""

from columna.tables.common import identity_columns, implausible_count_column
from columna.tables.measures import (
    count,
    flag,
    in_group,
    level_column,
    measure,
    required,
    sagittal,
    since,
    status_column,
    with_status,
)
from columna.tables.schema import Column, Range, Table

LORDOTIC, KYPHOTIC = "+ = lordotic", "+ = kyphotic"
END_RULE = "an end vertebra is missing, cut off, or its endplate could not be fitted"

ANGLES: dict[str, tuple[str, str, Range, str]] = {
    "cervical_lordosis": ("C2 inferior to C7 inferior endplate", LORDOTIC, (-50, 70), "B"),
    "t1_slope_scanner": (
        "T1 superior endplate against the scanner's axial plane (lying, depends on the head rest)",
        "+ = slopes down to the front",
        (-30, 70),
        "B",
    ),
    "thoracic_kyphosis_t4_t12": ("T4 superior to T12 inferior", KYPHOTIC, (-20, 100), "A"),
    "thoracic_kyphosis_t1_t12": ("T1 superior to T12 inferior", KYPHOTIC, (-20, 100), "A"),
    "thoracic_kyphosis_t5_t12": ("T5 superior to T12 inferior", KYPHOTIC, (-20, 100), "A"),
    "thoracolumbar_t10_l2": ("T10 superior to L2 inferior", KYPHOTIC, (-40, 60), "A"),
    "lumbar_lordosis_l1_s1": ("L1 superior to S1 superior", LORDOTIC, (-30, 100), "A"),
    "lumbar_lordosis_l1_l5": ("L1 superior to L5 inferior", LORDOTIC, (-30, 90), "A"),
    "lordosis_l4_s1": ("L4 superior to S1 superior", LORDOTIC, (-20, 70), "A"),
    "sacral_slope_scanner": (
        "S1 superior endplate against the scanner's axial plane (lying, not radiographic)",
        "+ = slopes down to the front",
        (-20, 80),
        "A",
    ),
}
"""Stem of column and status -> ends, sign, plausible range, tier."""

LENGTHS: dict[str, tuple[str, Range, Range]] = {
    "c2_s1": ("C2 inferior to S1 superior endplate", (350, 750), (350, 700)),
    "c7_s1": ("C7 superior to S1 superior endplate", (300, 650), (300, 620)),
    "t1_l5": ("T1 superior to L5 inferior endplate", (300, 620), (300, 600)),
    "l1_s1": ("L1 superior to S1 superior endplate", (100, 260), (100, 260)),
}
"""Stem of the columns -> ends, plausible lengths and chords."""

SIDES = {"right": "convex to the right", "left": "convex to the left"}


def _sagittal_columns() -> tuple[Column, ...]:
    angles = [
        column
        for stem, (ends, sign, plausible, tier) in ANGLES.items()
        for column in (
            status_column(f"{stem}_status", f"{stem}_deg."),
            *in_group(
                f"{stem}_status",
                END_RULE,
                measure(f"{stem}_deg", f"{ends}.", plausible, tier, "G12", sign),
            ),
        )
    ]
    return (
        status_column(
            "angles_status",
            "Sagittal angles: ok where any is measured, else as lumbar_lordosis_l1_s1_status.",
        ),
        *angles,
        *with_status(
            "lordosis_distribution_status",
            "either angle is missing, or lumbar_lordosis_l1_s1_deg is less than 15 deg",
            measure(
                "lordosis_distribution_ratio",
                "lordosis_l4_s1_deg over lumbar_lordosis_l1_s1_deg.",
                (-1, 2),
                "B",
            ),
        ),
        *with_status(
            "lordosis_closure_status",
            "lumbar_lordosis_l1_s1_deg, or an angle of a disc or body between, is missing",
            measure(
                "lordosis_closure_deg",
                "lumbar_lordosis_l1_s1_deg minus (sum of disc angles minus sum of wedge angles): a "
                "check of the measures against each other.",
                (-5, 5),
                None,
                "G12",
            ),
        ),
    )


def _arc_columns() -> tuple[Column, ...]:
    rule = "fewer than three consecutive vertebrae from T8 down are measured"
    return (
        status_column("arc_status", "Largest lordotic arc from T8 down."),
        *in_group(
            "arc_status",
            rule,
            measure(
                "max_lordosis_deg",
                "Largest lordosis between any two endplates from T8 down: from inflection to "
                "inflection, whatever the levels are called.",
                (-10, 110),
                "A",
                "G12",
                LORDOTIC,
            ),
            level_column("max_lordosis_upper", "Vertebra whose superior endplate begins it."),
            level_column(
                "max_lordosis_lower",
                "Vertebra whose inferior endplate ends it; S1: its superior endplate.",
            ),
            level_column("apex_lumbar", "Vertebra farthest in front of the chord of that arc."),
        ),
        *with_status(
            "apex_thoracic_status",
            "not all of T4 to T12 are measured",
            level_column("apex_thoracic", "Vertebra of T1 to T12 farthest behind their chord."),
        ),
    )


def _coronal_columns() -> tuple[Column, ...]:
    return (
        status_column("coronal_status", "Coronal curve."),
        *in_group(
            "coronal_status",
            "fewer than three vertebrae in a row are measured",
            measure(
                "coronal_cobb_max_deg",
                "Largest coronal angle between a superior endplate and an inferior one at least "
                "two levels below. A maximum, and so too large by noise: see "
                "coronal_tilt_noise_deg. Lying: no diagnosis of scoliosis.",
                (0, 90),
                "B",
                "G13",
            ),
            level_column("cobb_upper", "Upper end vertebra."),
            level_column("cobb_lower", "Lower end vertebra."),
            level_column("cobb_apex", "Vertebra between them farthest from their chord."),
            Column("cobb_side", "category", "Side of the convexity.", codes=SIDES),
            measure(
                "coronal_tilt_noise_deg",
                "Standard deviation of the vertebrae's coronal tilt about their neighbours'.",
                (0, 10),
                None,
                "G13",
            ),
            measure(
                "lateral_deviation_max_mm",
                "Largest distance of a body from the chord C7 (or first) to S1 (or last), coronal.",
                (0, 80),
                "B",
                "G13",
            ),
            measure(
                "axial_rotation_range_deg",
                "Range of the vertebrae's axial rotation.",
                (0, 60),
                "C",
            ),
        ),
    )


def _length_columns() -> tuple[Column, ...]:
    rule = "an end vertebra is missing, cut off, or its endplate could not be fitted"
    lengths = [
        column
        for stem, (ends, arc, chord) in LENGTHS.items()
        for column in with_status(
            f"length_{stem}_status",
            rule,
            measure(f"length_{stem}_mm", f"Length of the curve, {ends}.", arc, "A", "G2"),
            measure(f"chord_{stem}_mm", f"Straight distance, {ends}.", chord, "A", "G2"),
        )
    ]
    return (
        *lengths,
        *in_group(
            "length_c7_s1_status",
            "length_c7_s1_mm is missing",
            measure(
                "tortuosity_ratio",
                "length_c7_s1_mm over chord_c7_s1_mm.",
                (1, 1.4),
                "A",
                formula=lambda length_c7_s1_mm, chord_c7_s1_mm: length_c7_s1_mm / chord_c7_s1_mm,
            ),
        ),
        *with_status(
            "sum_body_height_status",
            "the height of one of L1 to L5 is missing",
            measure("sum_body_height_l1_l5_mm", "Sum of height_mean_mm.", (80, 200), "A"),
        ),
        *with_status(
            "sum_gap_status",
            "the gap of a disc space between L1 and S1 is missing",
            measure(
                "sum_gap_l1_s1_mm",
                "Sum of gap_mean_mm of all disc spaces between L1 and S1.",
                (10, 110),
                "A",
            ),
        ),
        *with_status(
            "disc_fraction_status",
            "a gap or the height of a body between L1 and S1 is missing",
            measure(
                "disc_fraction_lumbar_ratio",
                "Sum of gaps over sum of gaps and heights, L1 to S1.",
                (0.1, 0.45),
                "A",
            ),
        ),
        *with_status(
            "sagittal_offset_c7_s1_status",
            "the body of C7, or S1, is missing or cut off",
            measure(
                "sagittal_offset_c7_s1_mm",
                "How far the centroid of C7 lies before the posterior upper corner of S1, along "
                "the scanner's anterior axis (lying: not the sagittal vertical axis).",
                (-120, 120),
                "B",
                sign="+ = C7 anterior",
            ),
        ),
        *with_status(
            "sagittal_offset_c2_c7_status",
            "the body of C2 or C7 is missing or cut off",
            measure(
                "sagittal_offset_c2_c7_mm",
                "The same, centroid of C2 and posterior upper corner of C7.",
                (-60, 80),
                "B",
                sign="+ = C2 anterior",
            ),
        ),
    )


def _summary_columns() -> tuple[Column, ...]:
    return (
        *with_status(
            "listhesis_status",
            "no listhesis was measured",
            measure(
                "listhesis_max_mm",
                "Listhesis of the largest amount, of all disc spaces.",
                (-20, 30),
                "B",
                "G10",
                "+ = the vertebra above lies anterior",
            ),
            Column("listhesis_level", "string", "Disc space of it, as in the table discs."),
            count("n_listhesis_3mm_n", "Disc spaces with at least 3 mm either way."),
        ),
        *with_status(
            "lumbar_canal_status",
            "no lumbar site was measured",
            measure(
                "canal_ap_min_mm",
                "Smallest anterior-posterior diameter of the lumbar canal.",
                (3, 30),
                "A",
                "G11",
            ),
        ),
        *with_status(
            "cord_end_status",
            "there is no cord, or it is not seen to end inside the canal",
            measure(
                "cord_end_position_mm",
                "Place along the curve, from the first body of the scan, where the cord ends.",
                (0, None),
                "B",
                "G11",
                "+ = caudal",
            ),
        ),
        *with_status(
            "cord_end_level_status",
            "cord_end_status is not ok, or the level has no name",
            level_column(
                "cord_end_level", "Level at which the cord ends (area below 15 mm2): the conus."
            ),
            within="cord_end_status",
        ),
        *required(count("n_complete_bodies_n", "Complete bodies.")),
        *with_status(
            "curve_status",
            "no vertebra was found",
            flag(
                "is_curve_low_support",
                "Whether the curve is a straight line, for want of points.",
                "G2",
            ),
        ),
    )


def _canal_area_columns() -> tuple[Column, ...]:
    return with_status(
        "lumbar_canal_area_status",
        "no lumbar site was measured from side to side",
        measure("canal_area_min_mm2", "Smallest area of the lumbar canal.", (30, 500), "B", "G11"),
        level_column("canal_min_level", "Lumbar level of the smallest area."),
        within="lumbar_canal_status",
    )


SPINE = Table(
    name="spine",
    title="Whole spine",
    description=(
        "One row per measured scan. Regional angles are between endplates, projected on the mean "
        "sagittal plane of the vertebrae between, and signed; a missing end vertebra is never "
        "replaced by its neighbour. All of them are of a person lying down."
    ),
    key=("scan_id",),
    sort=("participant_id", "session_id", "scan_id"),
    columns=since(
        "1.1.0",
        *identity_columns(),
        *sagittal(*_sagittal_columns()),
        *sagittal(*_arc_columns()),
        *_coronal_columns(),
        *sagittal(*_length_columns()),
        *sagittal(*_summary_columns()),
        *_canal_area_columns(),
        implausible_count_column(),
    ),
)
