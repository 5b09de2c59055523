"""From an error to one sentence for a person: the one place that decides which errors get one.

All others are defects of columna, and keep their traceback.
"""

import errno
import os

from columna.errors import ColumnaError

PREFIX = "columna: "
"""What the last words of a command begin with that ends with an error."""

_ADVICE = {
    errno.ENOENT: "is the path spelled right, and is the disk there?",
    errno.EEXIST: "a file is where a folder has to be; move it away, or choose another place",
    errno.ENOTDIR: "a file is where a folder has to be; move it away, or choose another place",
    errno.EISDIR: "a folder is where a file has to be; move it away, or choose another place",
    errno.EACCES: "you may not read or write there; change the permissions, or the place",
    errno.EPERM: "you may not read or write there; change the permissions, or the place",
    errno.EROFS: "nothing can be written there; choose another place",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ENOSPC: "make room, and start again: what is done stays done",
    errno.EDQUOT: "make room, and start again: what is done stays done",
    errno.ELOOP: "a link leads to itself; repair it",
    errno.ESTALE: "the network disk has lost the file; start again",
    errno.EIO: "the disk is damaged, or gone",
}
"""What to do about what the system says."""


def sentence_of(error: BaseException) -> str | None:
    """The sentence that tells `error`, or None for a defect.

    Parameters
    ----------
    error
        What a command or a plan ended with.

    Returns
    -------
    str or None
        For a `ColumnaError` its message; for a system call that failed the file, what happened
        and what to do.
    """
    if isinstance(error, ColumnaError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory is used up; close other programs, or take a larger machine"
    # libraries that parse files raise OSError without a number
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error)
    return None


def _of_system(error: OSError) -> str:
    files = [
        os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes)
    ]
    where = f"{' -> '.join(files)}: " if files else ""
    what = error.strerror or os.strerror(error.errno or 0)
    advice = _ADVICE.get(error.errno or 0)
    return f"{where}{what}{f' ({advice})' if advice else ''}"
