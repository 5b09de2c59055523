"""What is left to do for a batch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from columna.batch.attempts import attempts
from columna.cohort.manifest import ScanEntry
from columna.errors import ColumnaError, StaleError
from columna.layout import stages_before, stages_of
from columna.stages.base import Stage
from columna.store import Record


@dataclass(frozen=True)
class Task:
    """One scan that a stage has to compute.

    `attempts` counts earlier tries during which the whole process died.
    """

    scan: ScanEntry
    fingerprint: str
    dependencies: dict[str, Any]
    computations_n: int
    attempts: int


@dataclass
class Plan:
    """Records of scans that need nothing, and tasks for the others."""

    records: dict[str, Record] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)


def plan_batch(stage: Stage, scans: Iterable[ScanEntry]) -> Plan:
    """Sort the scans of a batch into ended and to be computed.

    A scan that an earlier stage did not finish, or that does not go through this stage, keeps
    the record of the stage it came through last.
    """
    plan = Plan()
    for scan in scans:
        upstream = _upstream(stage, scan)
        if upstream is not None and (
            upstream.status != "done" or stage.name not in stages_of(scan)
        ):
            plan.records[scan.scan_id] = upstream
            continue
        dependencies = stage.dependencies(scan)
        fingerprint = stage.fingerprint(dependencies, upstream)
        known = stage.store.read(scan.scan_id, stage.name)
        if known is not None and stage.store.is_current(known, fingerprint):
            plan.records[scan.scan_id] = stage.store.refreshed(known)
        else:
            _check_upstream(stage, scan)
            times = known.computations_n if known else 0
            begun = attempts(stage, scan.scan_id)
            plan.tasks.append(Task(scan, fingerprint, dependencies, times + 1, begun))
    return plan


def _upstream(stage: Stage, scan: ScanEntry) -> Record | None:
    """How the scan came out of the chain so far; the first stage that stopped it speaks."""
    record = None
    for earlier in stages_before(stage.name, scan):
        record = stage.store.read(scan.scan_id, earlier)
        if record is None:
            raise ColumnaError(
                f"{scan.scan_id}: no result of stage '{earlier}' in the store. Run "
                f"`columna {earlier}` for this batch, or `snakemake --forcerun {earlier}`"
            )
        if record.status != "done":
            return record
    return record


def _check_upstream(stage: Stage, scan: ScanEntry) -> None:
    """Raise StaleError if the result of an earlier stage, about to be read, is not its own."""
    for earlier in stages_before(stage.name, scan):
        record = stage.store.read(scan.scan_id, earlier)
        if record is not None and not stage.store.is_whole(record):
            raise StaleError(
                f"{scan.scan_id}: results of stage '{earlier}' are missing or were changed. Start "
                f"`snakemake` again, or `columna {earlier}` for this batch"
            )
