"""Ways of bringing many scans through a stage.

Stages with a network run in one process: the next scans are read and the last ones written by
two threads while the current one computes. The other stages share scans out over processes. A
scan of which a process has died gets a process of its own. Either way the answer for a scan
depends on that scan only.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import FrameType

from columna.batch import attempts
from columna.batch.isolate import Ending, Postponed
from columna.batch.plan import ScanTask
from columna.batch.steps import compute, finish, load, process, timed
from columna.logs import configure_logging
from columna.results.store import Record
from columna.stages.base import Stage

READ_AHEAD = 2
WRITE_BEHIND = 2

Outcome = Record | Postponed


def pipelined(stage: Stage, tasks: list[ScanTask]) -> Iterator[Outcome]:
    """Compute in this thread, read ahead and write behind in one thread each."""
    upcoming = iter(tasks)
    loads: deque[tuple[ScanTask, Future]] = deque()
    saves: deque[Future] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read_next(count: int) -> None:
            for task in islice(upcoming, count):
                loads.append((task, reader.submit(timed, load, stage, task)))

        read_next(READ_AHEAD)
        while loads:
            task, loading = loads.popleft()
            item, load_seconds = loading.result()
            read_next(1)
            result, seconds = timed(compute, stage, task, item)
            saves.append(writer.submit(finish, stage, task, result, load_seconds + seconds))
            while len(saves) > WRITE_BEHIND:
                yield saves.popleft().result()
        while saves:
            yield saves.popleft().result()


def in_processes(stage: Stage, tasks: list[ScanTask], workers: int) -> Iterator[Outcome]:
    """Share the scans out over processes."""
    with _pool(workers) as pool:
        pending = [pool.submit(_in_worker, stage, task) for task in tasks]
        try:
            for future in as_completed(pending):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def alone(stage: Stage, task: ScanTask, threads: int) -> Outcome:
    """Compute a scan that processes have died of in a process that may die of it."""
    unopened = type(stage)(stage.config, stage.layout)
    with _pool(1) as pool:
        try:
            return pool.submit(_open_and_process, unopened, task, threads).result()
        except (BrokenProcessPool, MemoryError):
            return _after_death(stage, task)


def _after_death(stage: Stage, task: ScanTask) -> Outcome:
    scan_id = task.scan.scan_id
    died = attempts.deaths(stage, scan_id) or 0
    if died <= (task.deaths or 0):
        return Postponed(scan_id, "its process was stopped before it was through")
    if died < attempts.MAX_DEATHS:
        return Postponed(scan_id, f"the process died {died} times on this scan (crash or memory)")
    reason = f"the process died {died} times on this scan, at last when it was alone"
    return finish(stage, task, Ending("failed", "crashed", f"{reason} (crash or memory)"), 0.0)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Fresh processes: forking a process with threads is not safe."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=configure_logging)


def _open_and_process(stage: Stage, task: ScanTask, threads: int) -> Outcome:
    stage.open(threads)
    return _in_worker(stage, task)


def _in_worker(stage: Stage, task: ScanTask) -> Outcome:
    """Process a scan; being stopped meanwhile, as all are when one process dies, is no death."""

    def stop(number: int, frame: FrameType | None) -> None:
        attempts.rewind(stage, task.scan.scan_id, task.deaths)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    return process(stage, task)
