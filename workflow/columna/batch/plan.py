"""What is left to do for a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from columna.batch.attempts import MAX_DEATHS, clear, deaths
from columna.batch.isolate import Postponed
from columna.errors import StaleError, UnavailableError
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
    """Records of scans that need nothing, tasks, and scans that have to wait.

    A scan waits whose files cannot be read now, or are not what the stages before saw.
    """

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
        try:
            found = _record_or_task(stage, scan)
        except (UnavailableError, StaleError, OSError) as error:
            plan.postponed.append(Postponed(scan.scan_id, str(error)))
            continue
        if isinstance(found, ScanTask):
            plan.tasks.append(found)
        else:
            plan.records[scan.scan_id] = found
    return plan


def _record_or_task(stage: Stage, scan: ScanEntry) -> Record | ScanTask:
    records = stage.store.read_all(scan.scan_id)
    upstream = _upstream(stage, scan, records)
    if upstream is not None and not (stage.takes(upstream) and stage.concerns(scan)):
        return upstream
    dependencies = stage.dependencies(scan)
    fingerprint = stage.fingerprint(dependencies, upstream)
    known = records.get(stage.name)
    if known is not None and stage.store.is_current(known, fingerprint):
        clear(stage, scan.scan_id)  # a process may have died between record and mark
        return stage.store.refreshed(known)
    _check_upstream(stage, scan, records)
    times = known.computations_n if known else 0
    return ScanTask(scan, fingerprint, dependencies, times + 1, _deaths(stage, scan, known))


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
            raise StaleError(
                f"no result of stage '{earlier}' in the store. Start `snakemake` again, or run "
                f"`columna {earlier}` for this batch"
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
                f"results of stage '{earlier}' are missing or were changed. Start `snakemake` "
                f"again, or run `columna {earlier}` for this batch"
            )
        if record is not None and record.status != "done":
            return  # records of later stages are of an earlier run
