"""Table `cord_canal`: spinal canal and cord at three sites of every level."""

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
    measure,
    predicted_dice_columns,
    required,
    sagittal,
    since,
    status_column,
    text,
    with_status,
)
from columna.tables.quality import judged_columns
from columna.tables.schema import Column, Table

SITES = {
    "mid_body": "planes through the middle of the body, 2 mm up and down",
    "disc": "planes through the middle of the disc below, 2 mm up and down",
    "level": "planes from the middle of the disc above to that of the disc below",
}

CORD_AREA_TIERS = {"cervical": "B", "thoracic": "C", "lumbar": "C"}


def _place_columns() -> tuple[Column, ...]:
    return (
        *required(text("vertebra", "Vertebra, as the table vertebrae names it.")),
        *with_status(
            "level_status",
            "the vertebra has no name",
            category("level", "Level.", VERTEBRA_CODES),
            category("region", "Region of it.", REGION_CODES),
            count(
                "level_order",
                "Anatomical rank of the level: C2 = 2, T12 = 19, T13 = 20, L1 = 21, L5 = 25.",
            ),
        ),
        *with_status(
            "index_status",
            "the vertebra was not found",
            count("index_from_top", "That of the vertebra (table vertebrae)."),
        ),
        *required(
            category(
                "site",
                "Where the planes lie; the site disc bears the name of the level above the disc.",
                SITES,
                "G11",
            )
        ),
    )


def _canal_columns() -> tuple[Column, ...]:
    rule = "a plane is not valid (G11), or the site does not exist"
    return (
        status_column("canal_status", "Canal."),
        *in_group(
            "canal_status",
            rule,
            count("planes_n", "Planes, about 1 mm apart, perpendicular to the canal."),
            measure("slab_mm", "Length of the canal between the first and last plane.", (2, 80)),
            measure("canal_ap_mm", "Anterior-posterior diameter, mean.", (4, 30), "A", "G11"),
            measure("canal_ap_min_mm", "The same, smallest.", (3, 30), "A", "G11"),
            measure(
                "plane_angle_deg",
                "Angle of the canal to the scanner's long axis, mean.",
                (0, 80),
                "A",
                "G11",
            ),
        ),
        *with_status(
            "canal_body_status",
            "canal_status is not ok, the site is not mid_body, or the body's depth is missing",
            measure(
                "canal_body_ap_ratio",
                "canal_ap_mm over the depth of the body.",
                (0.2, 1.6),
                "A",
            ),
            within="canal_status",
        ),
        *with_status(
            "mcc_status",
            "canal_status is not ok, or a mid_body site above or below is missing",
            measure(
                "mcc_pct",
                "How much smaller canal_ap_min_mm is than the mean of canal_ap_mm at the middle of "
                "the bodies above and below the site.",
                (-60, 95),
                "A",
            ),
            within="canal_status",
        ),
    )


def _cord_columns() -> tuple[Column, ...]:
    rule = "canal_status has no value, the cord is not in all planes, or it is cut off at a side"
    return (
        status_column("cord_status", "Cord; not_applicable from where it ends."),
        *in_group(
            "cord_status",
            rule,
            measure("cord_area_mm2", "Area of the cord, mean.", (20, 160), CORD_AREA_TIERS, "G11"),
            measure("cord_area_min_mm2", "Area, smallest.", (10, 160), CORD_AREA_TIERS, "G11"),
            measure(
                "cord_area_sd_mm2", "Area, standard deviation.", (0, 60), CORD_AREA_TIERS, "G11"
            ),
            measure("cord_ap_mm", "Anterior-posterior diameter, mean.", (3, 13), "B", "G11"),
            measure("cord_ap_min_mm", "The same, smallest.", (2, 13), "B", "G11"),
            measure("cord_rl_mm", "Left-right diameter, mean.", (4, 20), "C", "G11"),
            measure(
                "cord_canal_ap_ratio",
                "cord_ap_mm over canal_ap_mm.",
                (0.1, 1),
                "A",
                formula=lambda cord_ap_mm, canal_ap_mm: cord_ap_mm / canal_ap_mm,
            ),
            measure(
                "anterior_csf_mm",
                "Fluid in front of the cord, in the middle of the cord, mean.",
                (0, 20),
                "B",
                "G11",
            ),
            measure("posterior_csf_mm", "The same, behind the cord.", (0, 20), "B", "G11"),
        ),
        *with_status(
            "mscc_status",
            "cord_status is not ok, or there is no cord at a mid_body site above or below",
            measure(
                "mscc_pct",
                "How much smaller cord_ap_min_mm is than the mean of cord_ap_mm at the middle of "
                "the bodies above and below the site.",
                (-30, 95),
                "B",
            ),
            within="cord_status",
        ),
    )


def _across_columns() -> tuple[Column, ...]:
    """What needs the sides of the canal."""
    return (
        *with_status(
            "canal_area_status",
            "canal_status is not ok",
            measure("canal_area_mm2", "Area of the canal, mean.", (50, 700), "B", "G11"),
            measure("canal_area_min_mm2", "Area, smallest.", (30, 700), "B", "G11"),
            measure("canal_area_sd_mm2", "Area, standard deviation.", (0, 200), "B", "G11"),
            measure("canal_rl_mm", "Left-right diameter, mean.", (8, 45), "C", "G11"),
            within="canal_status",
        ),
        *with_status(
            "csf_area_status",
            "cord_status is not ok",
            measure(
                "csf_area_mm2",
                "Area of the canal without the cord, mean.",
                (10, 600),
                "B",
                "G11",
                formula=lambda canal_area_mm2, cord_area_mm2: canal_area_mm2 - cord_area_mm2,
            ),
            measure(
                "cord_canal_area_ratio",
                "cord_area_mm2 over canal_area_mm2.",
                (0.05, 0.98),
                "B",
                formula=lambda cord_area_mm2, canal_area_mm2: cord_area_mm2 / canal_area_mm2,
            ),
            within="cord_status",
        ),
    )


CORD_CANAL = Table(
    name="cord_canal",
    title="Spinal canal and cord",
    description=(
        "Three rows (see site) for every level C2 to L5 of every measured scan, and for T13, L6 "
        "and vertebrae without a name where they were found; C1 has neither a body nor a disc to "
        "go by. The canal is what the network learnt to call so (labels 60 and 61 together): not "
        "strictly the dural sac and not strictly the bony canal, so that thresholds of the "
        "literature do not carry over. No stenosis is graded."
    ),
    key=("scan_id", "vertebra", "site"),
    sort=(
        "participant_id",
        "session_id",
        "scan_id",
        "level_order",
        "index_from_top",
        "vertebra",
        "site",
    ),
    columns=since(
        "1.1.0",
        *identity_columns(),
        *_place_columns(),
        *sagittal(*_canal_columns()),
        *sagittal(*_cord_columns()),
        *_across_columns(),
        *predicted_dice_columns("canal", "the canal (with cord) nearest to the vertebra's body"),
        implausible_count_column(),
        *judged_columns("canal_cord"),
    ),
)
