"""The page docs/quality.md, made from the table of rules; ``make docs`` writes it."""

from columna.quality.cohort import MIN_SCANS
from columna.quality.rules import Rule, all_rules

_INTRODUCTION = f"""\
# Quality

<!-- Generated from resources/quality_rules.tsv by `make docs`. -->

No reference is needed: `columna assess` asks image, masks and measures whether they agree with
themselves, with their neighbours, and (at collect) with the cohort. The table `quality` holds an
answer of every rule for everything that the rule is about; where there is none, `value_status` says
why. Rules are rows of `resources/quality_rules.tsv`: to change a limit, change it there and raise
the version of the rule. All scans are then assessed again, nothing else.

## Verdicts

* **A value** is `ok`, `review` (beyond the first limits), `fail` (beyond the second), or `info`
  (the rule has no limits: it compares with the cohort, or is for your own use).
* **A level** is as good as its worst rule: column `level_verdict` of the view `v_complete_bodies`.
* **A scan** (`qc_verdict` in `scans`) fails where it was not measured, or where a rule marked with
  a * fails: vertebrae are missing, repeated or out of order, so names cannot be trusted. It is
  `review` where any rule says review, or a level fails. Else it is `pass`. `qc_reasons` lists the
  rules. A vertebra that the field of view cuts is no reason: its measures are NULL already.

Nothing is deleted or corrected because of a verdict. Limits are engineering limits, not
percentiles, and were not yet tuned on read scans: look at a sample of each verdict before you
exclude by it.

## Rules that compare with the cohort

From {MIN_SCANS} values on (of complete bodies, for measures), collect takes median and median
absolute deviation (MAD) per level, and compares every value with them: z = (value - median) /
(1.4826 x MAD). The table `cohort_reference` holds the medians, their counts, and a version (a
digest of them all), which `rule_version` repeats: tables with the same version were judged alike.
Only values outside the limits have rows in `quality`; the others can be computed from the tables.
Both sexes and all ages count together, so the limits are wide (5 and 8).

## Rules

`low` and `high` are the limits of `ok`; in brackets, those beyond which the verdict is `fail`.
"""

_NOT_ANSWERED = """\
## Not answered

Rules that need what is not kept have no rows: agreement of the folds (`fold_dice`: the masks of
single folds), measures on the mirrored input (`tta_height_delta`: a second run of the networks),
quality per station. Confidence and entropy of phase 1 are columns of `structures` and `vertebrae`.
"""

_SCOPES = {
    "scan": "About the scan",
    "level": "About a vertebra",
    "structure": "About a structure of the semantic mask",
}


def quality_page() -> str:
    """Text of docs/quality.md."""
    parts = [_INTRODUCTION]
    for scope, title in _SCOPES.items():
        rules = [rule for rule in all_rules().values() if rule.scope == scope]
        parts += [f"### {title}\n", *_table(rules), ""]
    return "\n".join([*parts, _NOT_ANSWERED])


def _table(rules: list[Rule]) -> list[str]:
    head = ["| rule | compares with | unit | low | high | meaning |", "|---|---|---|---|---|---|"]
    return head + [_line(rule) for rule in rules]


def _line(rule: Rule) -> str:
    star = " *" if rule.fails_scan else ""
    ends = [_limit(review, fail) for review, fail in zip(rule.review, rule.fail, strict=True)]
    cells = (f"`{rule.rule_id}`{star}", rule.comparator, rule.unit, *ends, rule.description)
    return "| " + " | ".join(cells) + " |"


def _limit(review: float | None, fail: float | None) -> str:
    texts = (
        "" if review is None else f"{review:g}",
        "" if fail is None else f"({fail:g})",
    )
    return " ".join(text for text in texts if text)
