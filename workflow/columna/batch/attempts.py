"""Scans that take the whole process with them.

A scan on which the process is killed outright (a crash in native code, the kernel's
out-of-memory killer) leaves no record, so its batch would die of it in every try. A mark on disk
therefore says how many deaths a scan will have seen if the process dies now. Only the scan that is
being computed is charged with one; a scan that is read ahead or written behind is marked, too, but
with no more than it has.

A scan with deaths is computed alone in a process of its own, after all others of its batch. After
`MAX_DEATHS` it is a ``failed`` row: as many as Snakemake gives a job tries, each with more memory,
and the last of them happened while nothing else went on. An end that somebody asked for
(Ctrl-C, a scheduler's signal) is no death.
"""

from columna.files import remove_empty
from columna.stages.base import Stage

MAX_DEATHS = 3


def deaths(stage: Stage, scan_id: str) -> int | None:
    """How often the process died while it computed this scan; None for a scan without a mark."""
    try:
        return int(stage.mark(scan_id).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return 0


def mark(stage: Stage, scan_id: str, count: int) -> None:
    """Say that the scan will have seen `count` deaths if the process dies now."""
    path = stage.mark(scan_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(count))  # not by renaming: a kill must leave no second file


def clear(stage: Stage, scan_id: str) -> None:
    """The scan has ended."""
    stage.mark(scan_id).unlink(missing_ok=True)
    remove_empty(stage.layout.work(scan_id))


def rewind(stage: Stage, scan_id: str, count: int | None) -> None:
    """Go back to the `count` from before this try, which ended in an orderly way."""
    if deaths(stage, scan_id) is None:
        return
    if count is None:
        clear(stage, scan_id)
    else:
        mark(stage, scan_id, count)
