"""Scans that take the whole process with them.

A scan on which the process is killed outright (a crash in native code, the kernel's
out-of-memory killer) leaves no record, so its batch would die of it in every retry. A mark on disk
counts how often a scan was begun without an end. Marked scans are tried again last and one at a
time; after `MAX_ATTEMPTS` deaths the scan is a ``failed`` row and the batch goes on.
"""

from pathlib import Path

from columna.files import remove_empty, write_text
from columna.stages.base import Stage

MAX_ATTEMPTS = 2


def attempts(stage: Stage, scan_id: str) -> int:
    """How often this stage of this scan was begun and never ended."""
    try:
        return int(_mark(stage, scan_id).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def begin(stage: Stage, scan_id: str) -> None:
    """Mark the scan as begun."""
    write_text(_mark(stage, scan_id), str(attempts(stage, scan_id) + 1))


def end(stage: Stage, scan_id: str) -> None:
    """The scan has ended, or its job ended in an orderly way."""
    _mark(stage, scan_id).unlink(missing_ok=True)
    remove_empty(stage.layout.work(scan_id))


def _mark(stage: Stage, scan_id: str) -> Path:
    return stage.layout.work(scan_id) / f"{stage.name}.begun"
