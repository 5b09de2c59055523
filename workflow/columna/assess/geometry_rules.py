"""Rules about the geometry that the file states: its two transforms, the angles of its axes."""

from collections.abc import Iterator

from columna.assess.finding import Finding, found
from columna.assess.quality_context import QualityContext
from columna.assess.rules import all_rules

GRID_RULES = ("transforms_agree", "qform_usable", "axes_orthogonal")


def grid_findings(context: QualityContext) -> Iterator[Finding]:
    """Judge what `prepare` noted of the header (columns of the table `scans`)."""
    for rule_id in GRID_RULES:
        _, column = all_rules()[rule_id].source_column
        yield found(rule_id, context.scan_row[column], "not_applicable")
