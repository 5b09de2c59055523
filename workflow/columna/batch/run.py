"""The batch runner.

Stages with a network run in one process: the next scans are read and the last ones written by
two threads while the current one computes. The other stages share scans out over processes.
Either way the answer for a scan depends on that scan only.
"""

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from columna.batch import attempts
from columna.batch.isolate import Ending, guarded
from columna.batch.plan import Task, plan_batch
from columna.batch.progress import Progress
from columna.cohort.manifest import ScanEntry
from columna.logs import configure_logging
from columna.stages.base import Stage
from columna.store import Record

READ_AHEAD = 2
WRITE_BEHIND = 2

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
    """
    plan = plan_batch(stage, scans)
    log.info("%s %s: %d scans, %d to compute", stage.name, batch, len(scans), len(plan.tasks))
    records = dict(plan.records)
    if plan.tasks:
        stage.open(workers)
        with Progress(f"{stage.name} {batch}", len(plan.tasks)) as progress:
            for record in _compute(stage, plan.tasks, workers):
                records[record.scan_id] = record
                progress.ended(record)
    ordered = [records[scan.scan_id] for scan in scans]
    stage.finish(batch, scans, ordered)
    return ordered


def _compute(stage: Stage, tasks: list[Task], workers: int) -> Iterator[Record]:
    """Records in any order; scans that have killed a process before come last, one at a time."""
    fresh = [task for task in tasks if task.attempts == 0]
    suspects = [task for task in tasks if task.attempts > 0]
    workers = min(workers, len(fresh))
    try:
        if stage.uses_network:
            yield from _pipelined(stage, fresh)
        elif workers > 1:
            yield from _in_processes(stage, fresh, workers)
        else:
            yield from (_process(stage, task) for task in fresh)
        yield from (_process(stage, task) for task in suspects)
    except BrokenProcessPool:
        raise
    except BaseException:
        for task in tasks:
            attempts.end(stage, task.scan.scan_id)
        raise


def _pipelined(stage: Stage, tasks: list[Task]) -> Iterator[Record]:
    """Compute in this thread, read ahead and write behind in one thread each."""
    upcoming = iter(tasks)
    loads: deque[tuple[Task, Future]] = deque()
    saves: deque[Future] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read_next(count: int) -> None:
            for task in islice(upcoming, count):
                loads.append((task, reader.submit(_timed, _load, stage, task)))

        read_next(READ_AHEAD)
        while loads:
            task, loading = loads.popleft()
            item, load_seconds = loading.result()
            read_next(1)
            result, seconds = _timed(_then, item, task, stage.compute)
            saves.append(writer.submit(_finish, stage, task, result, load_seconds + seconds))
            while len(saves) > WRITE_BEHIND:
                yield saves.popleft().result()
        while saves:
            yield saves.popleft().result()


def _in_processes(stage: Stage, tasks: list[Task], workers: int) -> Iterator[Record]:
    """Share the scans out over fresh processes (forking a process with threads is not safe)."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=configure_logging) as pool:
        pending = [pool.submit(_process, stage, task) for task in tasks]
        try:
            for future in as_completed(pending):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _process(stage: Stage, task: Task) -> Record:
    """All three parts of a stage for one scan."""
    item, load_seconds = _timed(_load, stage, task)
    result, seconds = _timed(_then, item, task, stage.compute)
    return _finish(stage, task, result, load_seconds + seconds)


def _load(stage: Stage, task: Task) -> Any:
    if task.attempts >= attempts.MAX_ATTEMPTS:
        reason = f"the process died {task.attempts} times on this scan (crash or memory)"
        return Ending("failed", "crashed", reason)
    attempts.begin(stage, task.scan.scan_id)
    return guarded(task.scan.scan_id, stage.load, task.scan)


def _then(item: Any, task: Task, step: Any) -> Any:
    """Go on with `step` unless the scan has already ended."""
    return item if isinstance(item, Ending) else guarded(task.scan.scan_id, step, item)


def _finish(stage: Stage, task: Task, result: Any, seconds: float) -> Record:
    """Write the result of a scan, then its record."""
    began = time.perf_counter()
    saved = result
    if not isinstance(result, Ending):
        saved = guarded(task.scan.scan_id, stage.save, task.scan, result)
    record = _record(stage, task, saved, seconds + time.perf_counter() - began)
    # a defect may have left a value that JSON does not hold
    written = guarded(task.scan.scan_id, stage.store.write, record)
    if isinstance(written, Ending):
        record = _record(stage, task, written, record.seconds)
        stage.store.write(record)
    attempts.end(stage, task.scan.scan_id)
    return record


def _record(stage: Stage, task: Task, saved: Any, seconds: float) -> Record:
    """How a scan ended: `saved` is a `Saved`, or an `Ending`."""
    ended = isinstance(saved, Ending)
    return Record(
        stage=stage.name,
        scan_id=task.scan.scan_id,
        fingerprint=task.fingerprint,
        status=saved.status if ended else "done",
        code=saved.code if ended else None,
        reason=saved.reason if ended else None,
        dependencies=task.dependencies,
        files={} if ended else stage.store.identify(saved.files),
        values={} if ended else saved.values,
        computations_n=task.computations_n,
        seconds=round(seconds, 3),
    )


def _timed(step: Any, *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    return step(*arguments), time.perf_counter() - began
