"""Columns and code lists that several tables share."""

from columna.anatomy import SACRUM, levels
from columna.tables.schema import REGIONS, Column

STATUS = {
    "ok": "measured",
    "partial_fov": "cut off by the edge of the field of view, or too close to it",
    "lateral_cut": "the slices do not reach its sides: what lies in the sagittal plane is measured",
    "outside_fov": "not in the field of view",
    "not_segmented": "expected here, but the masks do not hold it",
    "too_few_voxels": "too small to be measured",
    "fit_failed": "the geometric fit failed",
    "neighbour_missing": "a neighbour that the definition needs is missing",
    "fused": "joined with its neighbour",
    "duplicate_label": "the level was assigned more than once",
    "artefact_suspected": "an artefact is suspected",
    "not_applicable": "not defined for this level",
    "no_anchor": "it has no name: neither C2 nor the sacrum is seen, or it is no known level",
    "no_image": "the input image was not at hand",
    "disabled": "switched off in the configuration",
    "error": "the measurement failed",
}
"""Codes of all ``*_status`` columns."""

LATERAL_CUT = "lateral_cut"
SAGITTAL_CODES = ("ok", LATERAL_CUT)
"""Codes with which measures of the sagittal plane are there."""

REGION_CODES = {region: f"{region} spine" for region in REGIONS}
LEVEL_CODES = {v.name: f"level {v.name}" for v in levels().values()}
"""All levels from C1 to S1, in anatomical order."""
VERTEBRA_CODES = {v.name: f"vertebra {v.name}" for n, v in levels().items() if n != SACRUM}

FACES = {
    "S": "superior",
    "I": "inferior",
    "A": "anterior",
    "P": "posterior",
    "L": "left",
    "R": "right",
}
"""Faces of the field of view, by the letter that stands for them."""


def identity_columns() -> tuple[Column, ...]:
    """Columns that every table begins with."""
    return (
        Column(
            "participant_id",
            "string",
            "Participant, as in BIDS (sub-...).",
            null_rule="the cohort sheet does not say",
            source="cohort",
        ),
        Column(
            "session_id",
            "string",
            "Session, as in BIDS (ses-...).",
            null_rule="the cohort has no sessions",
            source="cohort",
        ),
        Column(
            "scan_id",
            "string",
            "Scan; joins all tables.",
            nullable=False,
            source="cohort",
        ),
    )


def confidence_columns(of: str) -> tuple[Column, ...]:
    """Summaries of what the phase-1 network thought of its own answer, over the voxels of `of`."""
    rule = "the network's probabilities are not known for this structure"
    return (
        Column(
            "confidence_mean_ratio",
            "float64",
            f"Mean over {of} of the highest class probability.",
            null_rule=rule,
            plausible=(0, 1),
        ),
        Column(
            "confidence_p05_ratio",
            "float64",
            f"5th percentile over {of} of the highest class probability.",
            null_rule=rule,
            plausible=(0, 1),
        ),
        Column(
            "entropy_mean_ratio",
            "float64",
            f"Mean over {of} of the entropy of the class probabilities, 1 = all classes alike.",
            null_rule=rule,
            plausible=(0, 1),
        ),
    )


def fold_dice_column(of: str) -> Column:
    """Agreement of the folds of the phase-1 model."""
    return Column(
        "fold_dice_ratio",
        "float64",
        f"Mean Dice of {of} between the masks of the model's folds.",
        null_rule="the model has one fold, or masks of single folds were not kept",
        plausible=(0, 1),
        since_version="1.1.0",
    )


def implausible_count_column() -> Column:
    """Count the values of a row that are outside their plausible range."""
    return Column(
        "n_implausible_n",
        "int32",
        "Columns of this row outside their plausible range; the values are kept.",
        nullable=False,
    )
