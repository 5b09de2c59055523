"""What a finished run delivered, in a screenful."""

from collections import Counter

import duckdb
from rich.console import Console
from rich.table import Table

from columna.errors import TableError
from columna.logs import printable
from columna.results.layout import Layout
from columna.tables.quality import QC_VERDICTS

_SCANS = """
    SELECT scan_id, processing_status, coalesce(processing_stage, ''),
           coalesce(qc_verdict || CASE WHEN qc_reasons != '' THEN ': ' || qc_reasons ELSE '' END,
                    ''),
           coalesce(processing_reason, '')
    FROM read_parquet(?) ORDER BY processing_status, scan_id
"""
_VERTEBRAE = """
    SELECT scan_id, level, presence, round(body_volume_mm3 / 1000, 1),
           round(height_middle_mm, 1), round(depth_mm, 1), round(wedge_angle_deg, 1)
    FROM read_parquet(?)
    WHERE presence IN ('complete', 'lateral_cut', 'partial')
    ORDER BY scan_id, level_order, spineps_label LIMIT 12
"""


def print_summary(layout: Layout) -> None:
    """Print how each scan ended, where the tables are, and the first vertebrae."""
    scans_file = layout.tables / "scans.parquet"
    if not scans_file.exists():
        raise TableError(f"{scans_file} does not exist yet: has the workflow finished?")
    console = Console()
    scans = duckdb.execute(_SCANS, [str(scans_file)]).fetchall()
    table = Table("scan", "status", "stage", "quality", "reason", title="Scans")
    for row in scans:
        table.add_row(*(printable(value or "") for value in row))
    console.print(table)
    columns = ("scan", "level", "presence", "body cm3", "height mm", "depth mm", "wedge deg")
    vertebrae = Table(*columns, title="First vertebrae")
    for row in duckdb.execute(_VERTEBRAE, [str(layout.tables / "vertebrae.parquet")]).fetchall():
        vertebrae.add_row(*("" if v is None else str(v) for v in row))
    console.print(vertebrae)
    done = sum(row[1] == "done" for row in scans)
    console.print(f"{done} of {len(scans)} inputs done; {len(scans) - done} refused with a reason.")
    verdicts = Counter(row[3].split(":")[0] for row in scans if row[1] == "done")
    told = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in QC_VERDICTS)
    console.print(f"Quality of those that are done: {told} (docs/quality.md says what that means).")
    console.print(f"Masks: {layout.derivatives}   Tables: {layout.tables}")
