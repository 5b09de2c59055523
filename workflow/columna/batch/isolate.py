"""A scan never kills its batch; a broken machine does."""

import errno
import logging
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal

from columna.errors import ScanRefused, StaleError

log = logging.getLogger(__name__)

_MACHINE_ERRNO = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ESTALE,
}
_CUDA_ERRORS = {"OutOfMemoryError", "AcceleratorError"}
"""Names of torch's errors: this module does not import torch, which CPU stages do without."""


@dataclass(frozen=True)
class Ending:
    """Why a scan did not get through a step."""

    status: Literal["refused", "failed"]
    code: str
    reason: str


def guarded(scan_id: str, step: Callable[..., Any], *arguments: Any) -> Any:
    """Run `step`; return its result, or the `Ending` of the scan.

    Raises
    ------
    Exception
        Only where the machine failed (memory, disk, GPU): then the job has to be repeated.
    """
    try:
        return step(*arguments)
    except ScanRefused as refusal:
        return Ending("refused", refusal.code, refusal.reason)
    except Exception as error:
        if is_machine_failure(error):
            raise
        log.exception("%s: unexpected error", scan_id)
        reason = f"unexpected {type(error).__name__}; the traceback is in the log of the job"
        return Ending("failed", "error", reason)


def is_machine_failure(error: BaseException) -> bool:
    """Whether `error` speaks of the machine, or of files in motion, rather than of the scan."""
    if isinstance(error, MemoryError | BrokenProcessPool | StaleError):
        return True
    if isinstance(error, OSError):
        return error.errno in _MACHINE_ERRNO
    if type(error).__module__.startswith("torch") and type(error).__name__ in _CUDA_ERRORS:
        return True
    return isinstance(error, RuntimeError) and "CUDA" in str(error)
