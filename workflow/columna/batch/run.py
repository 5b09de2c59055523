"""The batch runner: what has to be computed, in which order, and what is left undone."""

import logging
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

from columna.batch import attempts
from columna.batch.isolate import Postponed
from columna.batch.lanes import Outcome, alone, in_processes, pipelined
from columna.batch.plan import ScanTask, plan_batch
from columna.batch.progress import BatchProgress
from columna.batch.steps import process
from columna.errors import UnfinishedError
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Stage

TOLD = 10
"""Postponed scans that an error lists."""

log = logging.getLogger(__name__)


def run_batch(stage: Stage, batch: str, scans: list[ScanEntry], workers: int) -> list[Record]:
    """Bring every scan of a batch through `stage`.

    Parameters
    ----------
    stage
        What to do.
    batch
        Name of the batch, for the log and the stage's deliveries.
    scans
        The scans of the batch.
    workers
        Cores: processes for stages without a network, threads for a network.

    Returns
    -------
    list of Record
        One per scan, in the order of `scans`.

    Raises
    ------
    UnfinishedError
        After all other scans are through, if some got no answer: the machine kept them from it,
        or their files changed meanwhile.
    """
    plan = plan_batch(stage, scans)
    log.info("%s %s: %d scans, %d to compute", stage.name, batch, len(scans), len(plan.tasks))
    records, postponed = dict(plan.records), list(plan.postponed)
    with BatchProgress(f"{stage.name} {batch}", len(plan.tasks)) as progress:
        for answer in _compute(stage, plan.tasks, workers):
            if isinstance(answer, Postponed):
                postponed.append(answer)
            else:
                records[answer.scan_id] = answer
                progress.ended(answer)
    if postponed:
        raise UnfinishedError(_unfinished(stage, batch, len(scans), postponed))
    ordered = [records[scan.scan_id] for scan in scans]
    stage.finish(batch, scans, ordered)
    return ordered


def _compute(stage: Stage, tasks: list[ScanTask], workers: int) -> Iterator[Outcome]:
    """Answers in any order; scans that were in work when a process died come last, one by one."""
    fresh = [task for task in tasks if task.deaths is None]
    beside = [task for task in tasks if task.deaths == 0]
    suspects = [task for task in tasks if task.deaths]
    try:
        if fresh or beside:
            stage.open(workers)
        if stage.uses_network:
            yield from pipelined(stage, fresh)
        elif min(workers, len(fresh)) > 1:
            yield from in_processes(stage, fresh, min(workers, len(fresh)))
        else:
            yield from (process(stage, task) for task in fresh)
        yield from (process(stage, task) for task in beside)
        yield from (alone(stage, task, workers) for task in suspects)
    except (BrokenProcessPool, MemoryError):
        raise
    except BaseException:
        for task in tasks:
            attempts.rewind(stage, task.scan.scan_id, task.deaths)
        raise


def _unfinished(stage: Stage, batch: str, scans_n: int, postponed: list[Postponed]) -> str:
    lines = [f"{answer.scan_id}: {answer.reason}" for answer in postponed[:TOLD]]
    if len(postponed) > TOLD:
        lines.append(f"and {len(postponed) - TOLD} more")
    return (
        f"{stage.name} {batch}: {len(postponed)} of {scans_n} scans have no answer yet. That is "
        "no verdict on them: the next try of this job, or the next run, computes them.\n  "
        + "\n  ".join(lines)
    )
