"""How far a run is: counts per stage, and every scan that is not done with its reason."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from columna.batch.table import read_stage_table
from columna.cohort.manifest import list_batches, read_manifest
from columna.layout import STAGES, Layout, stages_of
from columna.logs import printable
from columna.store import Store

ENDINGS = ("done", "refused", "failed", "pending")


@dataclass
class CohortStatus:
    """Counts and failures of a run.

    Parameters
    ----------
    stages
        Stage -> ending -> number of scans. A scan that was refused or failed in an earlier stage
        is counted where it ended, and in no later stage.
    stopped
        Rows (scan_id, stage, status, code, reason) of scans that are not and will not be done,
        those left out by the index included.
    """

    stages: dict[str, Counter[str]] = field(default_factory=dict)
    stopped: list[tuple[str, str, str, str, str]] = field(default_factory=list)


def cohort_status(layout: Layout) -> CohortStatus:
    """Read the state of a run: stage tables of finished jobs, the store for running ones."""
    status = CohortStatus({stage: Counter() for stage in STAGES}, _left_out(layout))
    store = Store(layout)
    for batch in list_batches(layout.index):
        for stage in STAGES:
            for row in _stage_rows(layout, store, stage, batch):
                if row["stage"] != stage:
                    continue
                status.stages[stage][row["status"]] += 1
                if row["status"] in ("refused", "failed"):
                    status.stopped.append(
                        (row["scan_id"], stage, row["status"], row["code"], row["reason"])
                    )
    return status


def _left_out(layout: Layout) -> list[tuple[str, str, str, str, str]]:
    columns = ["scan_id", "path", "input_status", "reason"]
    rows = pq.read_table(layout.index / "scans.parquet", columns=columns).to_pylist()
    return [
        (r["scan_id"] or r["path"] or "?", "index", "left out", r["input_status"], r["reason"])
        for r in rows
        if r["input_status"] != "ok"
    ]


def _stage_rows(layout: Layout, store: Store, stage: str, batch: str) -> list[dict[str, str]]:
    """Rows of a stage table, or what the store has so far where the job has not ended."""
    path = layout.stage_table(stage, batch)
    if path.exists():
        return read_stage_table(path)
    rows = []
    stopped = {r["scan_id"] for r in _stopped_before(layout, stage, batch)}
    for scan in read_manifest(layout.manifest(batch)):
        if scan.scan_id in stopped or stage not in stages_of(scan):
            continue
        record = store.read(scan.scan_id, stage)
        rows.append(
            {
                "scan_id": scan.scan_id,
                "stage": stage,
                "status": record.status if record else "pending",
                "code": (record and record.code) or "",
                "reason": (record and record.reason) or "",
            }
        )
    return rows


def _stopped_before(layout: Layout, stage: str, batch: str) -> list[dict[str, str]]:
    """Scans of a batch that the latest finished earlier stage table says are not done."""
    for earlier in reversed(STAGES[: STAGES.index(stage)]):
        path = layout.stage_table(earlier, batch)
        if path.exists():
            return [row for row in read_stage_table(path) if row["status"] != "done"]
    return []


def print_status(status: CohortStatus, failures: bool) -> None:
    """Show the counts, and with `failures` each scan that is not done."""
    console = Console()
    counts = Table("stage", *ENDINGS)
    for stage, endings in status.stages.items():
        counts.add_row(stage, *(str(endings[e]) for e in ENDINGS))
    console.print(counts)
    reasons = Counter((s, e, c) for _, s, e, c, _ in status.stopped)
    for (stage, ending, code), count in sorted(reasons.items()):
        console.print(f"{count} x {ending} in {stage}: {code}")
    if failures:
        for stopped in status.stopped:
            console.print(Text("\t").join(map(printable, stopped)), soft_wrap=True)
