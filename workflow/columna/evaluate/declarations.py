"""Columns of the tables that compare programs, and of the error of measures."""

from columna.tables.evaluation import DIGITS, what
from columna.tables.schema import Column, Table

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
        *what(),
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
