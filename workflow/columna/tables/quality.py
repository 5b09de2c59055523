"""Tables `quality`, `cohort_reference`, `cohort_drift`: how far the others can be trusted."""

from dataclasses import replace

from columna.anatomy import semantic_names
from columna.domains import DOMAINS
from columna.tables.common import LEVEL_CODES, STATUS, identity_columns
from columna.tables.measures import since
from columna.tables.schema import Column, Table

NEW = "1.1.0"
"""Schema version that brought these tables."""

SCOPES = {
    "scan": "the scan as a whole",
    "level": "a vertebra of the table vertebrae",
    "structure": "a structure of the semantic mask",
}
COMPARATORS = {
    "fixed": "fixed limits",
    "neighbour": "compared with other levels of the scan",
    "cohort_robust": "compared with the other scans of the collected tables",
    "cohort_drift": "the site, scanner or batch of the scan, compared with the whole cohort",
}
VERDICTS = {
    "ok": "inside the limits",
    "info": "no limits: for information",
    "review": "outside the limits: have a look",
    "fail": "far outside: do not use this level, or this scan, as it is",
}
LEVEL_VERDICTS = {
    "ok": "no rule asks for a look",
    "review": "a rule asks for a look",
    "fail": "a rule says that it is not to be used as it is",
    "absent": "not found, so that there was nothing to judge",
}
QC_VERDICTS = {
    "pass": "no rule asks for a look, and those that must have an answer have one",
    "review": "a rule says review, a level fails, or a rule that must have an answer has none",
    "fail": "a rule about the whole scan fails",
}
STRUCTURE_CODES = {name: f"semantic label {label}" for label, name in semantic_names().items()}


def judged_columns(*domains: str) -> tuple[Column, ...]:
    """Verdict of each domain on a row of a table of measures, and whether to use it."""
    return tuple(
        replace(column, at_collect=True, source="quality", since_version="1.3.0")
        for domain in domains
        for column in (
            Column(
                f"level_verdict_{domain}",
                "category",
                f"The worst that the rules say of this level about {domain}.",
                codes=LEVEL_VERDICTS,
                nullable=False,
            ),
            Column(
                f"is_evaluable_{domain}",
                "bool",
                f"Whether it was found and measured, and no rule about {domain} fails for this "
                "level or for the whole scan.",
                nullable=False,
            ),
        )
    )


def _level_columns(rule: str) -> tuple[Column, ...]:
    return (
        Column(
            "level", "category", "Level.", codes=LEVEL_CODES, null_rule=rule, source="quality rules"
        ),
        Column(
            "level_order",
            "int32",
            "Anatomical rank of the level.",
            null_rule=rule,
            source="quality rules",
        ),
    )


def _value_columns() -> tuple[Column, ...]:
    return (
        Column(
            "value",
            "float64",
            "What was found, in the rule's unit.",
            status="value_status",
            null_rule="value_status is not ok",
        ),
        Column(
            "value_status",
            "category",
            "Whether the rule could be answered.",
            codes=STATUS,
            nullable=False,
        ),
        Column("unit", "string", "Unit of value, low and high; 1 = a ratio.", nullable=False),
        *(
            Column(
                end,
                "float64",
                f"{end.capitalize()}est value whose verdict is ok.",
                null_rule="no such limit",
                source="quality rules",
            )
            for end in ("low", "high")
        ),
        Column(
            "verdict",
            "category",
            "What the rule says.",
            codes=VERDICTS,
            status="value_status",
            null_rule="value_status is not ok",
        ),
    )


QUALITY = Table(
    name="quality",
    title="Quality rules",
    description=(
        "One row per rule and scan, vertebra or structure that it is about (docs/quality.md lists "
        "the rules). Rules that compare with the cohort have rows only where they say review or "
        "fail: any other value can be had from the table cohort_reference."
    ),
    key=("scan_id", "rule_id", "item"),
    sort=("participant_id", "session_id", "scan_id", "rule_id", "level_order", "item"),
    columns=since(
        NEW,
        *identity_columns(),
        Column("rule_id", "string", "Rule.", nullable=False),
        Column(
            "item",
            "string",
            "What the row is about: `scan`, a vertebra of the table vertebrae, or a structure.",
            nullable=False,
        ),
        Column("scope", "category", "Kind of item.", codes=SCOPES, nullable=False),
        Column(
            "domain",
            "category",
            "What the value speaks of: a result can be right in one domain and wrong in another.",
            codes=DOMAINS,
            nullable=False,
            source="quality rules",
            since_version="1.3.0",
        ),
        *_level_columns("the item is no vertebra, or has no level"),
        Column(
            "structure",
            "category",
            "Structure.",
            codes=STRUCTURE_CODES,
            null_rule="the item is no structure",
            source="quality rules",
        ),
        *_value_columns(),
        Column("comparator", "category", "Kind of limits.", codes=COMPARATORS, nullable=False),
        Column(
            "rule_version",
            "string",
            "Version of the rule; of cohort rules also that of the reference, after a +.",
            nullable=False,
        ),
    ),
)

COHORT_REFERENCE = Table(
    name="cohort_reference",
    title="Cohort reference",
    description=(
        "What the cohort rules compare with: median and median absolute deviation over this very "
        "cohort, where at least 500 scans have the value; of measures also over all scans of one "
        "sex and age group, where at least 200 have it, and then these are what a scan is compared "
        "with. A robust z is (value - median) / (1.4826 x MAD)."
    ),
    key=("rule_id", "item", "stratum"),
    sort=("rule_id", "level_order", "item", "stratum"),
    columns=since(
        NEW,
        Column("rule_id", "string", "Rule.", nullable=False),
        Column("item", "string", "`scan`, a level, or a structure.", nullable=False),
        Column(
            "stratum",
            "string",
            "Sex and age group that it is about, or `all`.",
            nullable=False,
            since_version="1.3.0",
        ),
        *_level_columns("the item is no level"),
        Column("source", "string", "Table and column of the value, or rule.", nullable=False),
        Column("scans_n", "int32", "Values.", nullable=False),
        Column("median", "float64", "Median, in the unit of the source.", nullable=False),
        Column("mad", "float64", "Median absolute deviation.", nullable=False),
        Column(
            "reference_version",
            "string",
            "Digest of all rows of this table.",
            nullable=False,
        ),
    ),
)

GROUPINGS = {
    "site": "column site, center or centre of the cohort",
    "scanner": "manufacturer, model and field strength, by the sidecars",
    "batch": "batch of the run: scans that came into the cohort together",
}

COHORT_DRIFT = Table(
    name="cohort_drift",
    title="Drift of sites, scanners and batches",
    description=(
        "How far the scans of one site, scanner or batch lie from the whole cohort, by the values "
        "that the cohort rules compare: medians of robust z (cohort_reference, all), one value per "
        "scan. Groups of 20 scans or more. A shift is no fault of a scan: look at what the group "
        "has in common."
    ),
    key=("group_kind", "group_name", "rule_id"),
    sort=("group_kind", "group_name", "rule_id"),
    columns=since(
        "1.3.0",
        Column("group_kind", "category", "Kind of group.", codes=GROUPINGS, nullable=False),
        Column("group_name", "string", "The group.", nullable=False),
        Column("rule_id", "string", "Cohort rule whose values are compared.", nullable=False),
        Column("scans_n", "int32", "Scans of the group with a value.", nullable=False),
        Column("median_z", "float64", "Median of their robust z.", nullable=False),
        Column(
            "certainty",
            "float64",
            "The median over its standard error (1.2533 / square root of scans_n).",
            nullable=False,
        ),
        Column(
            "verdict",
            "category",
            "review: outside the limits of the rule drift_<group_kind>, and certainty beyond 5.",
            codes={name: VERDICTS[name] for name in ("ok", "review")},
            nullable=False,
        ),
    ),
)
