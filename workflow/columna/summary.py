"""What a finished run delivered, in a screenful."""

import duckdb
from rich.console import Console
from rich.table import Table

from columna.errors import TableError
from columna.layout import Layout

_SCANS = """
    SELECT scan_id, processing_status, coalesce(processing_stage, ''),
           coalesce(processing_reason, '')
    FROM read_parquet(?) ORDER BY processing_status, scan_id
"""
_VERTEBRAE = """
    SELECT scan_id, level, spineps_label, presence, round(vertebra_volume_mm3 / 1000, 1),
           round(body_volume_mm3 / 1000, 1)
    FROM read_parquet(?)
    WHERE presence IN ('complete', 'partial') ORDER BY scan_id, level_order, spineps_label LIMIT 12
"""


def print_summary(layout: Layout) -> None:
    """Print how each scan ended, where the tables are, and the first vertebrae."""
    scans_file = layout.tables / "scans.parquet"
    if not scans_file.exists():
        raise TableError(f"{scans_file} does not exist yet: has the workflow finished?")
    console = Console()
    scans = duckdb.execute(_SCANS, [str(scans_file)]).fetchall()
    table = Table("scan", "status", "stage", "reason", title="Scans")
    for row in scans:
        table.add_row(*row)
    console.print(table)
    vertebrae = Table(
        "scan", "level", "label", "presence", "vertebra cm3", "body cm3", title="First vertebrae"
    )
    for row in duckdb.execute(_VERTEBRAE, [str(layout.tables / "vertebrae.parquet")]).fetchall():
        vertebrae.add_row(*("" if v is None else str(v) for v in row))
    console.print(vertebrae)
    done = sum(status == "done" for _, status, _, _ in scans)
    console.print(f"{done} of {len(scans)} inputs done; {len(scans) - done} refused with a reason.")
    console.print(f"Masks: {layout.derivatives}   Tables: {layout.tables}")
