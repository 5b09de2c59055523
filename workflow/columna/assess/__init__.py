"""Reference-free quality of a scan, its masks and its measures (docs/quality.md)."""

from columna.assess.all_rules import assess_scan
from columna.assess.finding import Finding
from columna.assess.quality_context import QualityContext
from columna.assess.quality_rows import quality_rows

__all__ = ["Finding", "QualityContext", "assess_scan", "quality_rows"]
