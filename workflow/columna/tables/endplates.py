"""Table `endplates`: two rows per vertebral body, and the superior endplate of S1."""

from columna.tables.common import (
    LEVEL_CODES,
    REGION_CODES,
    SAGITTAL_CODES,
    STATUS,
    identity_columns,
)
from columna.tables.common import implausible_count_column as count_column
from columna.tables.measures import sagittal, with_status
from columna.tables.schema import Column, Table

SIDES = {
    "superior": "upper endplate of the vertebra's body",
    "inferior": "lower endplate of the vertebra's body",
}
DEPTH = {"cervical": (10, 26), "thoracic": (11, 44), "lumbar": (22, 52)}
_NEW = {"since_version": "1.1.0"}
_GROUP = {"status": "endplate_status", **_NEW}
_MISSING = "the endplate could not be measured"


def _name_columns() -> tuple[Column, ...]:
    return (
        Column(
            "vertebra",
            "string",
            "Vertebra, as in the table vertebrae; S1 for the sacrum.",
            nullable=False,
            since_version="1.1.0",
        ),
        *with_status(
            "level_status",
            "the level has no name",
            Column("level", "category", "Level.", codes=LEVEL_CODES, **_NEW),
            Column(
                "level_order",
                "int32",
                "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, S1 = 27.",
                **_NEW,
            ),
        ),
        *with_status(
            "region_status",
            "the level has no name, or is S1",
            Column("region", "category", "Region of the level.", codes=REGION_CODES, **_NEW),
            within="level_status",
        ),
        Column(
            "side",
            "category",
            "Side of the body.",
            codes=SIDES,
            nullable=False,
            since_version="1.1.0",
        ),
        Column(
            "endplate_status",
            "category",
            "Endplate.",
            codes=STATUS,
            nullable=False,
            value_codes=SAGITTAL_CODES,
            since_version="1.1.0",
        ),
    )


def _direction_columns() -> tuple[Column, ...]:
    return (
        Column(
            "angle_sagittal_deg",
            "float64",
            "Angle of the endplate line against the scanner's anterior-posterior axis, in the mean "
            "sagittal plane of the region (S1: of the last vertebra's region).",
            null_rule=_MISSING,
            plausible=(-90, 90),
            reliability="A",
            definition="G7",
            sign="+ = anterior end higher",
            **_GROUP,
        ),
        *with_status(
            "plane_status",
            f"{_MISSING}, or the sides of the body are cut off",
            Column(
                "tilt_coronal_deg",
                "float64",
                "Angle of the endplate plane against the spine's chord (from the lowest to the "
                "uppermost body seen) in the mean coronal plane.",
                plausible=(-45, 45),
                reliability="B",
                definition="G3",
                sign="+ = right side down",
                **_NEW,
            ),
            *(
                Column(
                    f"normal_{axis}_ratio",
                    "float64",
                    f"Part along the scanner's {name} axis of the outward unit normal of the "
                    "plane.",
                    plausible=(-1, 1),
                    reliability=tier,
                    definition="G3",
                    sign=f"+ = {name}",
                    **_NEW,
                )
                for axis, name, tier in (
                    ("r", "right", "B"),
                    ("a", "anterior", "A"),
                    ("s", "superior", "A"),
                )
            ),
            within="endplate_status",
        ),
    )


def _shape_columns() -> tuple[Column, ...]:
    return (
        *sagittal(
            *with_status(
                "length_status",
                f"{_MISSING}, or a wall was not found",
                Column(
                    "length_ap_mm",
                    "float64",
                    "Length of the endplate line between the lines of the walls (S1: what lies "
                    "below the disc).",
                    plausible=DEPTH,
                    reliability="A",
                    definition="G7",
                    **_NEW,
                ),
                within="endplate_status",
            )
        ),
        Column(
            "concavity_mm",
            "float64",
            "Largest depth below the chord that joins the rims (0.10 and 0.90 of the depth of the "
            "body), of the profile that is the median over the mid-sagittal band, smoothed over "
            "three columns.",
            null_rule=_MISSING,
            plausible=(-3, 12),
            reliability={"cervical": "B", "thoracic": "B", "lumbar": "A"},
            sign="+ = concave",
            **_GROUP,
        ),
        Column(
            "concavity_position_ratio",
            "float64",
            "Where it is deepest: fraction of the depth of the body from its posterior wall.",
            null_rule=_MISSING,
            plausible=(0, 1),
            reliability="B",
            **_GROUP,
        ),
        Column(
            "plane_rms_mm",
            "float64",
            "Root mean square distance of the endplate from its fitted plane.",
            null_rule=_MISSING,
            plausible=(0, 3),
            definition="G3",
            **_GROUP,
        ),
        *with_status(
            "extent_status",
            f"{_MISSING}, too few columns meet it, or the sides of the body are cut off",
            Column(
                "focal_depression_mm",
                "float64",
                "Largest depth below the fitted plane, less the 90th percentile, over the central "
                "60 % of the width and 76 % of the depth: large for narrow dents (Schmorl's "
                "nodes).",
                plausible=(0, 10),
                reliability="C",
                **_NEW,
            ),
            Column(
                "area_mm2",
                "float64",
                "Area of the body's end: columns that meet it within 3 mm of its plane (S1: those "
                "through the disc above).",
                plausible=(80, 3500),
                reliability="C",
                **_NEW,
            ),
            within="endplate_status",
        ),
        *sagittal(
            *with_status(
                "coverage_status",
                f"{_MISSING}, too few columns meet it, or the mask has no endplates",
                Column(
                    "coverage_ratio",
                    "float64",
                    "Share of these columns that meet endplate voxels.",
                    plausible=(0, 1),
                    reliability="B",
                    **_NEW,
                ),
                within="endplate_status",
            )
        ),
        *sagittal(
            *with_status(
                "thickness_status",
                f"{_MISSING}, or its voxels are not segmented, or too few",
                Column(
                    "thickness_mm",
                    "float64",
                    "Median thickness of the endplate (labels 52, 53, 62) along its normal.",
                    plausible=(0.3, 4),
                    reliability="B",
                    **_NEW,
                ),
                within="coverage_status",
            )
        ),
    )


ENDPLATES = Table(
    name="endplates",
    title="Endplates",
    description=(
        "Two rows for every vertebral body that was found (C2: the superior one is not applicable, "
        "it bears the dens), and one for the superior endplate of S1 where the sacrum was found. "
        "Each endplate belongs to the vertebra that it lies on, whatever its label."
    ),
    key=("scan_id", "vertebra", "side"),
    sort=("participant_id", "session_id", "scan_id", "level_order", "vertebra", "side"),
    columns=(
        *identity_columns(),
        *_name_columns(),
        *_direction_columns(),
        *_shape_columns(),
        count_column(),
    ),
)
