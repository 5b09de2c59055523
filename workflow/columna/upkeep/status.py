"""How far a run is: counts per stage, and every scan that is not done with its reason."""

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from columna.chain import STAGES
from columna.cohort.inputs import read_inputs
from columna.config import Config
from columna.logs import printable
from columna.results.layout import Layout, stages_of
from columna.results.manifest import ScanEntry, check_indexed, list_batches, read_manifest
from columna.results.stage_table import read_stage_table
from columna.results.store import Store
from columna.upkeep.stale import RunState, Stale, look

ENDINGS = ("done", "refused", "failed", "pending", "stale")
"""stale: something that the result depends on has changed since; the next run sees to it."""


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
    state
        What is stale, and why.
    """

    state: RunState
    stages: dict[str, Counter[str]] = field(default_factory=dict)
    stopped: list[tuple[str, str, str, str, str]] = field(default_factory=list)


def cohort_status(layout: Layout, config: Config | None) -> CohortStatus:
    """Read the state of a run: stage tables of finished jobs, the store for running ones.

    Without `config`, settings, models and versions are not compared.

    Raises
    ------
    CohortError
        If there is no index yet, or a damaged one.
    """
    check_indexed(layout.index)
    state = look(layout, config)
    counts: dict[str, Counter[str]] = {stage: Counter() for stage in STAGES}
    status = CohortStatus(state, counts, _left_out(layout))
    store = Store(layout)
    begun = store.scan_ids()
    for batch in list_batches(layout.index):
        stale = state.stale.get(batch, Stale())
        rows = {stage: _table(layout, stage, batch) for stage in STAGES}
        for scan in read_manifest(layout.manifest(batch)):
            for stage in stages_of(scan):
                ending = _ending(rows[stage], scan, stage, store if scan.scan_id in begun else None)
                if _is_stale(stale, scan, stage) and ending["status"] != "pending":
                    status.stages[stage]["stale"] += 1
                    continue
                status.stages[stage][ending["status"]] += 1
                if ending["status"] in ("refused", "failed"):
                    told = (ending["status"], ending["code"], ending["reason"])
                    status.stopped.append((scan.scan_id, stage, *told))
                    break
    return status


def _left_out(layout: Layout) -> list[tuple[str, str, str, str, str]]:
    columns = ["scan_id", "path", "input_status", "reason"]
    rows = read_inputs(layout.index, columns).to_pylist()
    return [
        (r["scan_id"] or r["path"] or "?", "index", "left out", r["input_status"], r["reason"])
        for r in rows
        if r["input_status"] != "ok"
    ]


def _table(layout: Layout, stage: str, batch: str) -> dict[str, dict[str, str]] | None:
    """Rows of a stage table by scan; None where the job has not ended or has to run again."""
    rows = read_stage_table(layout.stage_table(stage, batch))
    return None if rows is None else {row["scan_id"]: row for row in rows}


def _ending(
    rows: dict[str, dict[str, str]] | None, scan: ScanEntry, stage: str, store: Store | None
) -> dict[str, str]:
    """Status, code and reason of a stage of a scan, from its table or from what is stored."""
    row = (rows or {}).get(scan.scan_id)
    if row is not None and row["stage"] == stage:
        return row
    record = store.read(scan.scan_id, stage) if store and rows is None else None
    if record is None:
        return {"status": "pending", "code": "", "reason": ""}
    return {"status": record.status, "code": record.code or "", "reason": record.reason or ""}


def _is_stale(stale: Stale, scan: ScanEntry, stage: str) -> bool:
    since = stale.scans.get(scan.scan_id)
    return since is not None and STAGES.index(stage) >= STAGES.index(since)


def print_status(status: CohortStatus, failures: bool) -> None:
    """Show the counts, and with `failures` each scan that is not done."""
    console = Console()
    counts = Table("stage", *ENDINGS)
    for stage, endings in status.stages.items():
        counts.add_row(stage, *(str(endings[e]) for e in ENDINGS))
    console.print(counts)
    for reason, count in sorted(status.state.reasons().items()):
        console.print(f"{count} x stale: {reason}")
    reasons = Counter((s, e, c) for _, s, e, c, _ in status.stopped)
    for (stage, ending, code), count in sorted(reasons.items()):
        console.print(f"{count} x {ending} in {stage}: {code}")
    if failures:
        for stopped in status.stopped:
            console.print(Text("\t").join(map(printable, stopped)), soft_wrap=True)
    if not status.state.are_tables_current:
        console.print("The tables are not up to date: start `snakemake` to compute what is open.")
