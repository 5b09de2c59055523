"""One scan through the three parts of a stage, to its record.

What comes out is a `Record`, or `Postponed` where the machine kept the scan from getting one.
"""

import time
from collections.abc import Callable
from typing import Any

from columna.batch import attempts
from columna.batch.isolate import Ending, Postponed, guarded
from columna.batch.plan import ScanTask
from columna.results.store import Record
from columna.stages.base import Stage


def process(stage: Stage, task: ScanTask) -> Record | Postponed:
    """All three parts, with nothing going on beside them."""
    scan_id = task.scan.scan_id
    attempts.mark(stage, scan_id, (task.deaths or 0) + 1)
    item, load_seconds = timed(guarded, scan_id, stage.load, task.scan)
    result, seconds = timed(_then, item, task, stage.compute)
    return finish(stage, task, result, load_seconds + seconds)


def load(stage: Stage, task: ScanTask) -> Any:
    """Read a scan while another one is being computed."""
    attempts.mark(stage, task.scan.scan_id, task.deaths or 0)
    return guarded(task.scan.scan_id, stage.load, task.scan)


def compute(stage: Stage, task: ScanTask, item: Any) -> Any:
    """Compute a scan of `load` while others are read and written."""
    before = task.deaths or 0
    attempts.mark(stage, task.scan.scan_id, before + 1)
    result = _then(item, task, stage.compute)
    attempts.mark(stage, task.scan.scan_id, before)
    return result


def finish(stage: Stage, task: ScanTask, result: Any, seconds: float) -> Record | Postponed:
    """Write the result of a scan, then its record."""
    scan_id = task.scan.scan_id
    saved, save_seconds = timed(_then, result, task, lambda r: stage.save(task.scan, r))
    answer = saved
    if not isinstance(saved, Postponed):
        answer = _record(stage, task, saved, seconds + save_seconds)
        volumes = {} if isinstance(saved, Ending) else saved.volumes
        # a defect may have left a value that JSON does not hold
        written = guarded(scan_id, stage.store.write, answer, volumes)
        if isinstance(written, Ending):
            answer = _record(stage, task, written, answer.seconds)
            stage.store.write(answer)
        elif isinstance(written, Postponed):
            answer = written
    if isinstance(answer, Postponed):
        attempts.rewind(stage, scan_id, task.deaths)
    else:
        attempts.clear(stage, scan_id)
    return answer


def timed(step: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a step returns, and the seconds that it took."""
    began = time.perf_counter()
    return step(*arguments), time.perf_counter() - began


def _then(item: Any, task: ScanTask, step: Callable[[Any], Any]) -> Any:
    """Go on with `step` unless the scan has already ended or is postponed."""
    if isinstance(item, Ending | Postponed):
        return item
    return guarded(task.scan.scan_id, step, item)


def _record(stage: Stage, task: ScanTask, saved: Any, seconds: float) -> Record:
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
