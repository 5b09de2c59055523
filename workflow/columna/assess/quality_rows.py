"""Findings as rows of the table `quality`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from columna.anatomy import SACRUM, levels
from columna.assess.finding import Finding
from columna.assess.rules import all_rules
from columna.tables.finish import finish_row
from columna.tables.quality import QUALITY


def quality_rows(
    identity: Mapping[str, str | None],
    findings: Iterable[Finding],
    vertebrae: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Make one row per finding, with limits and verdict.

    Parameters
    ----------
    identity
        participant_id, session_id and scan_id.
    findings
        Of one scan.
    vertebrae
        The scan's rows of the table `vertebrae`: they know the level of every vertebra.
    """
    sacrum = levels()[SACRUM].name
    level_of = {sacrum: sacrum} | {row["vertebra"]: row["level"] for row in vertebrae}
    return [finish_row(QUALITY, {**identity, **_columns(f, level_of)}) for f in findings]


def _columns(finding: Finding, level_of: Mapping[str, str | None]) -> dict[str, Any]:
    rule = all_rules()[finding.rule_id]
    low, high = rule.limits
    level = level_of.get(finding.item) if rule.scope == "level" else None
    orders = {known.name: known.level_order for known in levels().values()}
    return {
        "rule_id": rule.rule_id,
        "item": finding.item,
        "scope": rule.scope,
        "domain": rule.domain_of(finding.item),
        "level": level,
        "level_order": None if level is None else orders.get(level),
        "structure": finding.item if rule.scope == "structure" else None,
        "value": finding.value,
        "value_status": finding.status,
        "unit": rule.unit,
        "low": low,
        "high": high,
        "verdict": rule.verdict(finding.value),
        "comparator": rule.comparator,
        "rule_version": rule.version,
    }
