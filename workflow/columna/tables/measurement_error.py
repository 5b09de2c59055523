"""Tables of the error of measures: against references or retests, and in synthetic twins."""

from columna.tables.evaluation import DIGITS
from columna.tables.schema import Column, Table


def _number(name: str, description: str) -> Column:
    rule = "too few values, or nothing varies"
    return Column(name, "float64", description, null_rule=rule, digits=DIGITS)


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

SLICES = {
    "all": "every twin",
    "thin": "slices below 2 mm",
    "medium": "slices of 2 mm or more, below 3.6 mm",
    "thick": "slices of 3.6 mm or more",
}
LEAST_SLICE_MM = {"thin": 0.0, "medium": 2.0, "thick": 3.6}

MEASUREMENT_ERROR = Table(
    name="measurement_error",
    title="Expected error of measures, from synthetic twins",
    description="One row per table, column, region and thickness of slices: measured on phantoms "
    "on the grids of this cohort, by its networks, against their known truth. Everything but the "
    "numbers of twins and values is NULL with fewer than 20 values.",
    key=("table", "column", "region", "slices"),
    sort=("table", "column", "region", "slices"),
    columns=(
        Column("table", "string", "Table of measures.", nullable=False),
        Column("column", "string", "Its column.", nullable=False),
        Column(
            "unit",
            "string",
            "Unit of the column, of bias, SDs and limits.",
            null_rule="the column is a plain number",
        ),
        Column("region", "string", "Region of the spine; all: every region.", nullable=False),
        Column("slices", "category", "Thickness of the slices.", SLICES, nullable=False),
        Column("twins_n", "int32", "Twins with both values.", nullable=False),
        Column("values_n", "int32", "Pairs of measured and true value.", nullable=False),
        _number("null_ratio", "Share of the true values that were not measured."),
        _number("bias", "Mean of measured minus true."),
        _number("error_sd", "Standard deviation of measured minus true."),
        _number("limit_low", "Lower limit of agreement: bias - 1.96 SD."),
        _number("limit_high", "Upper limit of agreement."),
        _number("true_sd", "Standard deviation of the true values of the twins."),
        _number("icc_agreement", "ICC(2,1) of measured and true."),
        _number(
            "reliability_ratio",
            "Covariance of measured and true over the variance of the measured: what the slope of "
            "a regression on the measured value is multiplied by, if the cohort varies as the "
            "twins do.",
        ),
        _number("cohort_sd", "Standard deviation of the column in the cohort, with its error."),
        _number(
            "cohort_reliability_ratio",
            "1 - error_sd^2 / cohort_sd^2: the same, for the spread of the cohort; 0 where the "
            "error is larger than all that varies.",
        ),
        _number("bias_slope", "Slope of the error over the true value; 0 in classical error."),
        _number("error_size_r", "Correlation of the error with the true value."),
        _number("error_spread_r", "Rank correlation of the size of the error with the true value."),
    ),
)
