"""The rules, as ``resources/quality_rules.tsv`` lists them."""

import csv
from dataclasses import dataclass
from functools import cache

from columna.anatomy import RESOURCES
from columna.domains import BODIES, structure_domains
from columna.files import sha256_file

RULES_FILE = RESOURCES / "quality_rules.tsv"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Parameters
    ----------
    rule_id, version, description
        What it is; the version is raised whenever its definition or a limit changes.
    scope
        What one value belongs to: ``scan``, ``level`` or ``structure``.
    domain
        What a value speaks of (`columna.domains`); empty for rules of structures, each of
        which has its own domain.
    comparator
        ``fixed`` limits; ``neighbour``: the value compares with other levels of the scan;
        ``cohort_robust``: with the other scans, once the tables are collected;
        ``cohort_drift``: site, scanner or batch of a scan with the whole cohort.
    unit
        Of value and limits.
    source
        Where the value comes from: image, masks, rows of several tables, or ``table.column``.
    review, fail
        Lowest and highest value that is still fine; None where there is no limit. A rule without
        limits informs only.
    fails_scan
        Whether a failure concerns the whole scan, and not only a level of it.
    needs_answer
        Whether a scan can only pass where this rule has a value. For rules of the scan.
    """

    rule_id: str
    scope: str
    domain: str
    comparator: str
    unit: str
    review: tuple[float | None, float | None]
    fail: tuple[float | None, float | None]
    fails_scan: bool
    needs_answer: bool
    version: str
    source: str
    description: str

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Lowest and highest value whose verdict is ``ok``."""
        low, high = (
            fail if review is None else review
            for review, fail in zip(self.review, self.fail, strict=True)
        )
        return low, high

    @property
    def source_column(self) -> tuple[str, str]:
        """Table and column of a source ``table.column``."""
        table, _, column = self.source.partition(".")
        return table, column

    def domain_of(self, item: str) -> str:
        """What the value of `item` speaks of."""
        return self.domain or structure_domains().get(item, BODIES)

    def verdict(self, value: float | None) -> str | None:
        """``ok``, ``review`` or ``fail``; ``info`` without limits; None without a value."""
        if value is None:
            return None
        if _is_outside(value, self.fail):
            return "fail"
        if _is_outside(value, self.review):
            return "review"
        return "info" if self.limits == (None, None) else "ok"


def _is_outside(value: float, limits: tuple[float | None, float | None]) -> bool:
    low, high = limits
    return (low is not None and value < low) or (high is not None and value > high)


@cache
def all_rules() -> dict[str, Rule]:
    """Rule id -> rule, in the order of the table."""
    with open(RULES_FILE, newline="", encoding="utf-8") as stream:
        return {row["rule_id"]: _rule(row) for row in csv.DictReader(stream, delimiter="\t")}


def scan_rules() -> list[Rule]:
    """The rules that one scan alone can answer."""
    return [rule for rule in all_rules().values() if not rule.comparator.startswith("cohort")]


def cohort_rules() -> list[Rule]:
    """The rules that compare with the rest of the cohort."""
    return [rule for rule in all_rules().values() if rule.comparator == "cohort_robust"]


def drift_rules() -> list[Rule]:
    """The rules that compare groups of scans with the cohort."""
    return [rule for rule in all_rules().values() if rule.comparator == "cohort_drift"]


def scan_failures() -> list[str]:
    """Ids of the rules whose failure concerns the whole scan."""
    return [rule.rule_id for rule in all_rules().values() if rule.fails_scan]


def needed_answers() -> list[str]:
    """Ids of the rules without whose answer no scan passes."""
    return [rule.rule_id for rule in all_rules().values() if rule.needs_answer]


@cache
def rules_sha256() -> str:
    """Digest of the table of rules."""
    return sha256_file(RULES_FILE)


def _rule(row: dict[str, str]) -> Rule:
    texts = ("rule_id", "scope", "domain", "comparator", "unit", "version", "source", "description")
    return Rule(
        **{name: row[name] for name in texts},
        review=(_number(row["review_low"]), _number(row["review_high"])),
        fail=(_number(row["fail_low"]), _number(row["fail_high"])),
        fails_scan=row["fails_scan"] == "yes",
        needs_answer=row["needs_answer"] == "yes",
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
