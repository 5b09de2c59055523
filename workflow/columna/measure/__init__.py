"""From final masks to rows of the tables."""

from columna.measure.context import MEASURE_VERSION, MeasureContext
from columna.measure.scan import measure_scan
from columna.tables.unmeasured import unmeasured_scan_row

__all__ = ["MEASURE_VERSION", "MeasureContext", "measure_scan", "unmeasured_scan_row"]
