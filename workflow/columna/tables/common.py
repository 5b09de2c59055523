"""Columns and code lists that several tables share."""

from columna.anatomy import SACRUM, levels
from columna.tables.reasons import reasons_of
from columna.tables.schema import REGIONS, Column

STATUS = {"ok": "measured"} | reasons_of("measure")
"""Codes of all ``*_status`` columns of measures."""
LATERAL_CUT = "lateral_cut"
SAGITTAL_CODES = ("ok", LATERAL_CUT)
"""Codes under which measures of the sagittal plane are there."""

REGION_CODES = {region: f"{region} spine" for region in REGIONS}
LEVEL_CODES = {v.name: f"level {v.name}" for v in levels().values()}
"""All levels from C1 to S1, in anatomical order."""
NAME_CODES = LEVEL_CODES | {"false_piece": "no vertebra, or a piece of another one"}
"""All that an instance may turn out to be."""
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
    group = "confidence_status"
    rule = "the network's probabilities are not known for this structure"
    return (
        Column(group, "category", "Confidence and entropy.", codes=STATUS, nullable=False),
        Column(
            "confidence_mean_ratio",
            "float64",
            f"Mean over {of} of the highest class probability.",
            status=group,
            null_rule=rule,
            plausible=(0, 1),
        ),
        Column(
            "confidence_p05_ratio",
            "float64",
            f"5th percentile over {of} of the highest class probability.",
            status=group,
            null_rule=rule,
            plausible=(0, 1),
        ),
        Column(
            "entropy_mean_ratio",
            "float64",
            f"Mean over {of} of the entropy of the class probabilities, 1 = all classes alike.",
            status=group,
            null_rule=rule,
            plausible=(0, 1),
        ),
    )


def fold_dice_columns(of: str) -> tuple[Column, ...]:
    """Agreement of the folds of the phase-1 model."""
    group = "fold_dice_status"
    return (
        Column(group, "category", "fold_dice_ratio.", codes=STATUS, nullable=False),
        Column(
            "fold_dice_ratio",
            "float64",
            f"Mean Dice of {of} between the masks of the model's folds.",
            status=group,
            null_rule="the model has one fold, or masks of single folds were not kept",
            plausible=(0, 1),
            since_version="1.1.0",
        ),
    )


def implausible_count_column() -> Column:
    """Count the values of a row that are outside their plausible range."""
    return Column(
        "n_implausible_n",
        "int32",
        "Columns of this row outside their plausible range; the values are kept.",
        nullable=False,
    )
