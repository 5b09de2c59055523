"""Tables of an evaluation: masks against reference masks, where a cohort has references."""

from collections.abc import Iterator

from columna.tables.schema import Column, Table

METRICS = {
    "dice": "Dice coefficient; 0 for an instance that was missed",
    "iou": "intersection over union",
    "assd_mm": "average symmetric surface distance",
    "hd95_mm": "95 % Hausdorff distance",
    "volume_difference_mm3": "volume of the prediction minus volume of the reference",
    "relative_volume_difference": "that, as a share of the reference's volume",
    "level_offset": "levels by which an instance is named too low (positive) or too high",
    "matched_n": "references with a match (IoU above one half)",
    "missed_n": "references without a match",
    "false_n": "predictions without a match",
    "merged_n": "predictions that cover at least half of several references each",
    "split_n": "references of which several predictions cover at least a fifth each",
    "recognition_quality": "RQ = TP / (TP + FP / 2 + FN / 2)",
    "segmentation_quality": "SQ: mean IoU of the matched",
    "panoptic_quality": "PQ = SQ x RQ",
    "dice_of_matched": "mean Dice of the matched instances",
    "dice_with_missed": "mean Dice of all references, missed ones as 0",
    "assd_of_matched_mm": "mean of the matched instances' average symmetric surface distance",
    "level_right_n": "matched instances with the level of the reference",
    "level_wrong_n": "matched instances with another level",
    "level_offset_largest": "largest number of levels by which an instance is off",
}
UNITS = {
    "structure": "all voxels of a structure in the scan",
    "instance": "one vertebra, body, disc or pair of endplates of the reference",
    "scan": "all instances of a kind in the scan",
}
STATUSES = {
    "ok": "the value is there",
    "both_empty": "neither mask shows the structure",
    "one_empty": "one of the masks does not show the structure, so no distance exists",
    "missed": "no prediction matches the reference; Dice is 0",
    "level_unknown": "one of the masks gives the instance no level",
    "no_instance": "there is nothing that the value could be made of",
}
STRATA = {
    "all": "all instances, or the whole structure",
    "not_cut": "instances that no end of the field of view cuts; lateral cuts do not count",
    "whole": "an instance within the field of view",
    "cut": "an instance that the field of view cuts above, below, in front or behind",
    "lateral_cut": "an instance that only the outermost slices cut",
}
DIGITS = 9
"""Decimals that are kept, more than the measures': tables are compared with other programs'."""
PAIR_STATUSES = {
    "done": "compared",
    "refused": "a mask is missing or is none, or the two masks have no place in common",
    "failed": "an unexpected error: a defect in columna; see the log of the job",
}


def _identity() -> tuple[Column, ...]:
    return (
        Column("scan_id", "string", "Scan, as the sheet names it.", nullable=False),
        Column("participant_id", "string", "Participant: the unit of statistics.", nullable=False),
    )


def what() -> Iterator[Column]:
    """Columns that say which number a row is about."""
    yield Column("structure", "string", "Structure or kind of instance.", nullable=False)
    yield Column("unit", "category", "What the value describes.", UNITS, nullable=False)
    yield Column("metric", "category", "Metric.", METRICS, nullable=False)
    yield Column("stratum", "category", "Part of the instances.", STRATA, nullable=False)


EVALUATION = Table(
    name="evaluation",
    title="Masks against reference masks",
    description="One row per scan, structure or instance, and metric.",
    key=("scan_id", "structure", "unit", "reference_label", "stratum", "metric"),
    sort=("scan_id", "structure", "unit", "reference_label", "stratum", "metric"),
    columns=(
        *_identity(),
        *what(),
        Column(
            "level",
            "string",
            "Level of the reference's instance.",
            null_rule="no instance, or its level is not known",
        ),
        Column(
            "reference_label",
            "int32",
            "Label of the instance in the reference.",
            null_rule="the row is about no instance",
        ),
        Column(
            "prediction_label",
            "int32",
            "Label of its match.",
            null_rule="the row is about no instance, or it has no match",
        ),
        Column(
            "value_status",
            "category",
            "Why there is no value.",
            STATUSES,
            nullable=False,
            value_codes=("ok", "missed"),
        ),
        Column(
            "value",
            "float64",
            "Value of the metric.",
            null_rule="see its status",
            status="value_status",
            digits=DIGITS,
        ),
        Column("instances_n", "int32", "Instances that the value rests on.", nullable=False),
    ),
)
SUMMARY = Table(
    name="evaluation_summary",
    title="Means over scans and instances, with intervals by participant",
    description="One row per structure, unit, stratum and metric.",
    key=("structure", "unit", "stratum", "metric"),
    sort=("structure", "unit", "stratum", "metric"),
    columns=(
        *what(),
        Column("values_n", "int32", "Values; NULL ones do not count.", nullable=False),
        Column("null_n", "int32", "Values that are NULL.", nullable=False),
        Column("participants_n", "int32", "Participants with a value.", nullable=False),
        Column("mean", "float64", "Mean of all values.", null_rule="no values", digits=DIGITS),
        Column(
            "sd",
            "float64",
            "Standard deviation of all values.",
            null_rule="fewer than two values",
            digits=DIGITS,
        ),
        Column("median", "float64", "Median of all values.", null_rule="no values", digits=DIGITS),
        Column(
            "mean_low",
            "float64",
            "Lower end of the mean's 95 % bootstrap interval.",
            null_rule="fewer than two participants",
            digits=DIGITS,
        ),
        Column(
            "mean_high",
            "float64",
            "Upper end; participants are drawn, with all their values.",
            null_rule="fewer than two participants",
            digits=DIGITS,
        ),
    ),
)
PAIRS = Table(
    name="evaluation_pairs",
    title="Pairs that were compared",
    description="One row per row of the sheet of pairs.",
    key=("scan_id",),
    sort=("scan_id",),
    columns=(
        *_identity(),
        Column("status", "category", "What became of the pair.", PAIR_STATUSES, nullable=False),
        Column("reason", "string", "Why a pair was refused.", null_rule="it was not"),
        Column(
            "is_resampled",
            "bool",
            "The reference was brought to the prediction's grid.",
            null_rule="the pair was not compared",
        ),
        Column(
            "inside_ratio",
            "float64",
            "Share of the prediction's grid that the reference covers.",
            null_rule="the pair was not compared",
        ),
        Column("prediction_convention", "string", "What the labels mean.", nullable=False),
        Column("reference_convention", "string", "What the labels mean.", nullable=False),
    ),
)
