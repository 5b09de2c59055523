"""Table `endplates`: two rows per vertebral body, and the superior endplate of S1."""

from columna.tables.common import LEVEL_CODES, REGION_CODES, identity_columns
from columna.tables.common import implausible_count_column as count_column
from columna.tables.measures import (
    category,
    count,
    in_group,
    measure,
    regional,
    required,
    sagittal,
    since,
    status_column,
    text,
    with_status,
)
from columna.tables.schema import Column, Table

SIDES = {
    "superior": "upper endplate of the vertebra's body",
    "inferior": "lower endplate of the vertebra's body",
}
DEPTH = regional((10, 26), (11, 44), (22, 52))
_MISSING = "the endplate could not be measured"


def _name_columns() -> tuple[Column, ...]:
    return (
        *required(text("vertebra", "Vertebra, as in the table vertebrae; S1 for the sacrum.")),
        *with_status(
            "level_status",
            "the level has no name",
            category("level", "Level.", LEVEL_CODES),
            count(
                "level_order",
                "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, S1 = 27.",
            ),
        ),
        *with_status(
            "region_status",
            "the level has no name, or is S1",
            category("region", "Region of the level.", REGION_CODES),
            within="level_status",
        ),
        *required(category("side", "Side of the body.", SIDES)),
        *sagittal(status_column("endplate_status", "Endplate.")),
    )


def _direction_columns() -> tuple[Column, ...]:
    return (
        *in_group(
            "endplate_status",
            _MISSING,
            measure(
                "angle_sagittal_deg",
                "Angle of the endplate line against the scanner's anterior-posterior axis, in the "
                "mean sagittal plane of the region (S1: of the last vertebra's region).",
                (-90, 90),
                "A",
                "G7",
                "+ = anterior end higher",
            ),
        ),
        *with_status(
            "plane_status",
            f"{_MISSING}, or the sides of the body are cut off",
            measure(
                "tilt_coronal_deg",
                "Angle of the endplate plane against the spine's chord (from the lowest to the "
                "uppermost body seen) in the mean coronal plane.",
                (-45, 45),
                "B",
                "G3",
                "+ = right side down",
            ),
            *(
                measure(
                    f"normal_{axis}_ratio",
                    f"Part along the scanner's {name} axis of the outward unit normal of the "
                    "plane.",
                    (-1, 1),
                    tier,
                    "G3",
                    f"+ = {name}",
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
                measure(
                    "length_ap_mm",
                    "Length of the endplate line between the lines of the walls (S1: what lies "
                    "below the disc).",
                    DEPTH,
                    "A",
                    "G7",
                ),
                within="endplate_status",
            )
        ),
        *in_group(
            "endplate_status",
            _MISSING,
            measure(
                "concavity_mm",
                "Largest depth below the chord that joins the rims (0.10 and 0.90 of the depth of "
                "the body), of the profile that is the median over the mid-sagittal band, smoothed "
                "over three columns.",
                (-3, 12),
                regional("B", "B", "A"),
                sign="+ = concave",
            ),
            measure(
                "concavity_position_ratio",
                "Where it is deepest: fraction of the depth of the body from its posterior wall.",
                (0, 1),
                "B",
            ),
            measure(
                "plane_rms_mm",
                "Root mean square distance of the endplate from its fitted plane.",
                (0, 3),
                definition="G3",
            ),
        ),
        *with_status(
            "extent_status",
            f"{_MISSING}, too few columns meet it, or the sides of the body are cut off",
            measure(
                "focal_depression_mm",
                "Largest depth below the fitted plane, less the 90th percentile, over the central "
                "60 % of the width and 76 % of the depth: large for narrow dents (Schmorl's "
                "nodes).",
                (0, 10),
                "C",
            ),
            measure(
                "area_mm2",
                "Area of the body's end: columns that meet it within 3 mm of its plane (S1: those "
                "through the disc above).",
                (80, 3500),
                "C",
            ),
            within="endplate_status",
        ),
        *sagittal(
            *with_status(
                "coverage_status",
                f"{_MISSING}, too few columns meet it, or the mask has no endplates",
                measure(
                    "coverage_ratio",
                    "Share of these columns that meet endplate voxels.",
                    (0, 1),
                    "B",
                ),
                within="endplate_status",
            ),
            *with_status(
                "thickness_status",
                f"{_MISSING}, or its voxels are not segmented, or too few",
                measure(
                    "thickness_mm",
                    "Median thickness of the endplate (labels 52, 53, 62) along its normal.",
                    (0.3, 4),
                    "B",
                ),
                within="coverage_status",
            ),
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
        *since("1.1.0", *_name_columns(), *_direction_columns(), *_shape_columns()),
        count_column(),
    ),
)
