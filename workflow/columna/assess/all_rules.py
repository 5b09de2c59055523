"""Assess one scan: every rule that a scan alone can answer."""

from columna.assess.canal_rules import canal_findings
from columna.assess.finding import Finding
from columna.assess.geometry_rules import grid_findings
from columna.assess.image_rules import image_findings
from columna.assess.mask_rules import mask_findings
from columna.assess.measure_rules import measure_findings
from columna.assess.orientation_rules import orientation_findings
from columna.assess.quality_context import QualityContext
from columna.assess.rules import scan_rules
from columna.assess.sequence_rules import order_findings
from columna.assess.vertebra_rules import vertebra_findings

DECIMALS = 4


def assess_scan(context: QualityContext) -> list[Finding]:
    """Answer all rules of ``quality_rules.tsv`` whose comparator is not the cohort.

    Rules of the scan have one finding; rules of a level one per vertebra found; rules of a
    structure one per structure found. Where a rule cannot be answered, its status says why.

    Parameters
    ----------
    context
        Masks, image and rows; the findings do not depend on how the grid is stored.
    """
    order = {rule.rule_id: place for place, rule in enumerate(scan_rules())}
    findings = [
        *image_findings(context),
        *grid_findings(context),
        *order_findings(context),
        *orientation_findings(context),
        *mask_findings(context),
        *vertebra_findings(context),
        *measure_findings(context),
        *canal_findings(context),
    ]
    # + 0.0 turns -0.0 into 0
    rounded = [
        f if f.value is None else f._replace(value=round(f.value, DECIMALS) + 0.0) for f in findings
    ]
    return sorted(rounded, key=lambda finding: order[finding.rule_id])
