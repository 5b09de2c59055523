"""Columns of the table that compares programs."""

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
