"""Reference-free quality of a scan, its masks and its measures (morphometrics 7)."""

from columna.quality.assess import assess_scan
from columna.quality.context import QualityContext
from columna.quality.finding import Finding
from columna.quality.rows import quality_rows

__all__ = ["Finding", "QualityContext", "assess_scan", "quality_rows"]
