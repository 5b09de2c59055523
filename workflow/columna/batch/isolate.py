"""A scan never kills its batch; a broken machine never condemns a scan."""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from columna.errors import ScanRefused, StaleError, UnavailableError

log = logging.getLogger(__name__)

_NO_USE_GOING_ON = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}
_CUDA_ERRORS = {"OutOfMemoryError", "AcceleratorError"}
"""Names of torch's errors: this module does not import torch, which CPU stages do without."""


@dataclass(frozen=True)
class Ending:
    """Why a scan did not get through a step."""

    status: Literal["refused", "failed"]
    code: str
    reason: str


@dataclass(frozen=True)
class Postponed:
    """A scan that has no answer yet: the machine failed, or files changed; its job is repeated."""

    scan_id: str
    reason: str


def guarded(scan_id: str, step: Callable[..., Any], *arguments: Any) -> Any:
    """Run `step`; return its result, or the `Ending` of the scan, or that it is `Postponed`.

    Raises
    ------
    Exception
        Only where the machine failed so that no other scan would fare better (memory, a full
        disk, the GPU).
    """
    try:
        return step(*arguments)
    except ScanRefused as refusal:
        return Ending("refused", refusal.code, refusal.reason)
    except (UnavailableError, StaleError) as error:
        return Postponed(scan_id, str(error))
    except Exception as error:
        if ends_job(error):
            raise
        if is_about_a_file(error):
            return Postponed(scan_id, f"{type(error).__name__}: {error}")
        log.exception("%s: unexpected error", scan_id)
        reason = f"unexpected {type(error).__name__}; the traceback is in the log of the job"
        return Ending("failed", "error", reason)


def ends_job(error: BaseException) -> bool:
    """Whether `error` speaks of a machine on which no scan can go on."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in _NO_USE_GOING_ON
    if type(error).__module__.startswith("torch") and type(error).__name__ in _CUDA_ERRORS:
        return True
    return isinstance(error, RuntimeError) and "CUDA" in str(error)


def is_about_a_file(error: BaseException) -> bool:
    """Whether the system did not hand out a file: absent, forbidden, a stale handle, a bad disk.

    Libraries that parse files raise OSError of their own, without a number, for wrong content.
    """
    named = isinstance(error, FileNotFoundError | PermissionError)
    return named or (isinstance(error, OSError) and error.errno is not None)
