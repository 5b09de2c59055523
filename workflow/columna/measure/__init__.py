"""From final masks to rows of the tables."""

from columna.measure.context import MEASURE_VERSION, MeasureContext
from columna.measure.rows.unmeasured import unmeasured_scan_row
from columna.measure.scan import measure_scan

__all__ = ["MEASURE_VERSION", "MeasureContext", "measure_scan", "unmeasured_scan_row"]
