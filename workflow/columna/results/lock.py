"""One run at a time in a results folder, from whatever working folder it was started."""

import errno
import fcntl
import logging
import os
import socket
from pathlib import Path
from typing import IO

from columna.errors import BusyError

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems say that cannot lock."""
IS_LOCKED = {errno.EACCES, errno.EAGAIN}

log = logging.getLogger(__name__)


def hold_results(root: Path) -> IO[str]:
    """Take the results folder `root` for this process, until it ends or closes what is returned.

    Without effect where files cannot be locked. A process that was killed holds nothing.

    Raises
    ------
    BusyError
        If another process has it.
    """
    root.mkdir(parents=True, exist_ok=True)
    stream = open(root / ".run", "a+", encoding="utf-8")  # noqa: SIM115 - stays open on purpose
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in IS_LOCKED:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise BusyError(
                f"{root}: another run is at work there ({holder}); wait until it ends, or stop it."
            ) from None
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s cannot be locked: let only one run work there", root)
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()}")
    stream.flush()
    return stream
