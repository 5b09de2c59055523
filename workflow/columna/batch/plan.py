"""What is left to do for a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from columna.batch.attempts import MAX_DEATHS, clear, deaths
from columna.batch.isolate import Postponed
from columna.errors import ColumnaError, StaleError, UnavailableError
from columna.results.layout import stages_before
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Stage


@dataclass(frozen=True)
class ScanTask:
    """One scan that a stage has to compute.

    `deaths` counts earlier tries in which the process died while it computed the scan; None for a
    scan that was not in work in any of them.
    """

    scan: ScanEntry
    fingerprint: str
    dependencies: dict[str, Any]
    computations_n: int
    deaths: int | None


@dataclass
class BatchPlan:
    """Records of scans that need nothing, tasks, and scans whose files cannot be read now."""

    records: dict[str, Record] = field(default_factory=dict)
    tasks: list[ScanTask] = field(default_factory=list)
    postponed: list[Postponed] = field(default_factory=list)


def plan_batch(stage: Stage, scans: Iterable[ScanEntry]) -> BatchPlan:
    """Sort the scans of a batch into ended and to be computed.

    A scan that an earlier stage did not finish, or that does not go through this stage, keeps
    the record of the stage it came through last.
    """
    plan = BatchPlan()
    for scan in scans:
        records = stage.store.read_all(scan.scan_id)
        upstream = _upstream(stage, scan, records)
        if upstream is not None and (upstream.status != "done" or not stage.takes(scan)):
            plan.records[scan.scan_id] = upstream
            continue
        try:
            dependencies = stage.dependencies(scan)
        except (UnavailableError, OSError) as error:
            plan.postponed.append(Postponed(scan.scan_id, str(error)))
            continue
        fingerprint = stage.fingerprint(dependencies, upstream)
        known = records.get(stage.name)
        if known is not None and stage.store.is_current(known, fingerprint):
            plan.records[scan.scan_id] = stage.store.refreshed(known)
            clear(stage, scan.scan_id)  # a process may have died between record and mark
        else:
            _check_upstream(stage, scan, records)
            times = known.computations_n if known else 0
            died = _deaths(stage, scan, known)
            plan.tasks.append(ScanTask(scan, fingerprint, dependencies, times + 1, died))
    return plan


def _deaths(stage: Stage, scan: ScanEntry, known: Record | None) -> int | None:
    """Deaths of earlier tries; a scan that has crashed before gets one chance, alone."""
    died = deaths(stage, scan.scan_id)
    has_crashed = known is not None and known.code == "crashed"
    return MAX_DEATHS - 1 if died is None and has_crashed else died


def _upstream(stage: Stage, scan: ScanEntry, records: Mapping[str, Record]) -> Record | None:
    """How the scan came out of the chain so far; the first stage that stopped it speaks."""
    record = None
    for earlier in stages_before(stage.name, scan):
        record = records.get(earlier)
        if record is None:
            raise ColumnaError(
                f"{scan.scan_id}: no result of stage '{earlier}' in the store. Run "
                f"`columna {earlier}` for this batch, or `snakemake --forcerun {earlier}`"
            )
        if record.status != "done":
            return record
    return record


def _check_upstream(stage: Stage, scan: ScanEntry, records: Mapping[str, Record]) -> None:
    """Raise StaleError if the result of an earlier stage, about to be read, is not its own."""
    for earlier in stages_before(stage.name, scan):
        record = records.get(earlier)
        if record is not None and not stage.store.is_whole(record):
            raise StaleError(
                f"{scan.scan_id}: results of stage '{earlier}' are missing or were changed. Start "
                f"`snakemake` again, or `columna {earlier}` for this batch"
            )
