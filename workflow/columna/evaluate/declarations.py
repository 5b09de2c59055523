"""Columns of the tables of an evaluation."""

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
}


def _identity() -> tuple[Column, ...]:
    return (
        Column("scan_id", "string", "Scan, as the sheet names it.", nullable=False),
        Column("participant_id", "string", "Participant: the unit of statistics.", nullable=False),
    )


def _what() -> Iterator[Column]:
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
        *_what(),
        Column("level", "string", "Level of the reference's instance, where it has one."),
        Column("reference_label", "int32", "Label of the instance in the reference."),
        Column("prediction_label", "int32", "Label of its match."),
        Column(
            "value_status",
            "category",
            "Why there is no value.",
            STATUSES,
            nullable=False,
            value_codes=("ok", "missed"),
        ),
        Column("value", "float64", "Value of the metric.", status="value_status", digits=DIGITS),
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
        *_what(),
        Column("values_n", "int32", "Values; NULL ones do not count.", nullable=False),
        Column("null_n", "int32", "Values that are NULL.", nullable=False),
        Column("participants_n", "int32", "Participants with a value.", nullable=False),
        Column("mean", "float64", "Mean of all values.", digits=DIGITS),
        Column("sd", "float64", "Standard deviation of all values.", digits=DIGITS),
        Column("median", "float64", "Median of all values.", digits=DIGITS),
        Column("mean_low", "float64", "Lower end of its 95 % bootstrap interval.", digits=DIGITS),
        Column(
            "mean_high",
            "float64",
            "Upper end; participants are drawn, with all their values.",
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
        Column("reason", "string", "Why a pair was refused."),
        Column("is_resampled", "bool", "The reference was brought to the prediction's grid."),
        Column("inside_ratio", "float64", "Share of that grid that the reference covers."),
        Column("prediction_convention", "string", "What the labels mean.", nullable=False),
        Column("reference_convention", "string", "What the labels mean.", nullable=False),
    ),
)
ROLES = {
    "primary": "a hypothesis declared beforehand; p_adjusted holds for all of them together (Holm)",
    "exploratory": "not declared beforehand; p is not adjusted",
}


def _number(name: str, description: str) -> Column:
    return Column(name, "float64", description, digits=DIGITS)


COMPARISON = Table(
    name="comparison",
    title="Programs against programs, paired by participant",
    description="One row per pair of programs, group, structure, unit, stratum and metric.",
    key=("first", "second", "group", "structure", "unit", "stratum", "metric"),
    sort=("first", "second", "group", "structure", "unit", "stratum", "metric"),
    columns=(
        Column("first", "string", "First program.", nullable=False),
        Column("second", "string", "Second program.", nullable=False),
        Column("group", "string", "Group of participants; all: everybody.", nullable=False),
        *_what(),
        Column("role", "category", "Role of the comparison.", ROLES, nullable=False),
        Column("participants_n", "int32", "Participants with both values.", nullable=False),
        Column("differing_n", "int32", "Participants whose values differ.", nullable=False),
        Column("values_n", "int32", "Pairs of values, before averaging.", nullable=False),
        _number("mean_first", "Mean over participants of the first program."),
        _number("mean_second", "Mean over participants of the second program."),
        _number("shift", "Hodges-Lehmann estimate of first minus second."),
        _number("shift_low", "Lower end of its 95 % interval; NULL below 6 participants."),
        _number("shift_high", "Upper end."),
        _number("statistic", "Wilcoxon's sum of positive ranks; NULL where nothing differs."),
        _number("p", "Two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs."),
        _number("p_adjusted", "p adjusted over the primary family; NULL for others."),
        _number("rank_biserial", "Effect size, -1 (second larger in all) to 1."),
        Column(
            "is_non_inferior",
            "bool",
            "The first program is at most the margin below the second; NULL without a margin, for "
            "other metrics than Dice and panoptic quality, and without an interval.",
        ),
    ),
)


AGREEMENT = Table(
    name="agreement",
    title="Error of measures",
    description="One row per table, column and region: measured on the prediction against "
    "measured on the reference, or test against retest. NULL with fewer than 3 pairs.",
    key=("table", "column", "region"),
    sort=("table", "column", "region"),
    columns=(
        Column("table", "string", "Table of measures.", nullable=False),
        Column("column", "string", "Its column.", nullable=False),
        Column("unit", "string", "Unit of the column and of bias, limits and change."),
        Column("region", "string", "Region of the spine; all: every region.", nullable=False),
        Column("rows_n", "int32", "Rows with the same scan and level in both.", nullable=False),
        Column("values_n", "int32", "Pairs of values.", nullable=False),
        _number("null_reference_ratio", "Share of the rows that only the reference leaves NULL."),
        _number("null_prediction_ratio", "Share of the rows that only the prediction leaves NULL."),
        _number("bias", "Mean of prediction minus reference."),
        _number("bias_low", "Lower end of its 95 % interval."),
        _number("bias_high", "Upper end."),
        _number("sd_difference", "Standard deviation of the differences."),
        _number("limit_low", "Lower limit of agreement (Bland and Altman): bias - 1.96 SD."),
        _number("limit_high", "Upper limit of agreement."),
        _number("smallest_change", "Smallest detectable change: 1.96 SD of the differences."),
        _number("icc_agreement", "ICC(2,1): a systematic difference counts as error."),
        _number("icc_agreement_low", "Lower end of its 95 % interval."),
        _number("icc_agreement_high", "Upper end."),
        _number("icc_consistency", "ICC(3,1): a systematic difference does not count."),
        _number("icc_consistency_low", "Lower end of its 95 % interval."),
        _number("icc_consistency_high", "Upper end."),
        _number("bias_slope", "Slope of the difference over the mean of both."),
    ),
)
