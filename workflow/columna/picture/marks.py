"""What is written beside a vertebra: its name, and whether it is doubtful or false."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from columna.anatomy import SACRUM, levels
from columna.assess.finding import Finding
from columna.assess.rules import all_rules

Doubt = Literal["none", "doubtful", "false"]
DOUBT_RULE = "label_shift_suspect"
"""The rule that says below which probability a name is doubtful."""
SIGNS: dict[Doubt, str] = {"none": "", "doubtful": "?", "false": "\u00d7"}


@dataclass(frozen=True)
class Mark:
    """A name beside a vertebra.

    Parameters
    ----------
    label
        Label of the vertebra in the instance mask.
    text
        Name and sign; the sign alone where there is no name.
    doubt
        ``doubtful``: no name, an improbable name, or a rule of the level that says fail;
        ``false``: a piece of bone that is no vertebra of its own.
    """

    label: int
    text: str
    doubt: Doubt


def marks_of(
    named: Iterable[Mapping[str, Any]],
    vertebrae: Sequence[Mapping[str, Any]] = (),
    findings: Iterable[Finding] = (),
) -> list[Mark]:
    """Marks of all vertebrae of a scan.

    Parameters
    ----------
    named
        `LabelResult.levels`.
    vertebrae
        Rows of the table `vertebrae`: they tell which vertebra a finding is about.
    findings
        Of the quality rules.
    """
    label_of = {row["vertebra"]: row["spineps_label"] for row in vertebrae}
    failed = {label_of.get(f.item) for f in findings if _fails(f)}
    marks = [_mark(entry, entry["label"] in failed) for entry in named if entry["label"] != SACRUM]
    return [*marks, Mark(SACRUM, levels()[SACRUM].name, "none")]


def _mark(entry: Mapping[str, Any], is_failed: bool) -> Mark:
    doubt: Doubt = "none"
    confidence, least = entry["level_confidence"], all_rules()[DOUBT_RULE].limits[0]
    is_unsure = confidence is not None and least is not None and confidence < least
    if entry.get("is_fragment") and not entry["level"]:
        doubt = "false"
    elif is_failed or is_unsure or not entry["level"]:
        doubt = "doubtful"
    return Mark(entry["label"], f"{entry['level'] or ''}{SIGNS[doubt]}", doubt)


def _fails(finding: Finding) -> bool:
    rule = all_rules()[finding.rule_id]
    return rule.scope == "level" and rule.verdict(finding.value) == "fail"
