"""Files that are either complete or absent, and their digests."""

import hashlib
import json
import os
import socket
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any


class NotRegularError(OSError):
    """The path is a folder, a pipe, a socket or a device: reading might wait or go on for ever."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; links are followed.

    Raises
    ------
    NotRegularError
        If it is no regular file.
    OSError
        As `open`.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise NotRegularError(f"{path}: not a regular file")
    # not waiting, and asked again: a pipe may have taken the file's place since
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise NotRegularError(f"{path}: not a regular file")
    return stream


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that is renamed to it on success.

    The temporary name holds host, process and a random part, because after a killed workflow
    head two jobs may write the same file at once; the last rename wins, and both are complete.
    The suffixes are kept, since many writers choose the format by them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = path.with_name(f".tmp-{unique}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_empty(folder: Path) -> None:
    """Remove `folder` if there is nothing in it."""
    with suppress(OSError):
        folder.rmdir()


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write `content` to `path` atomically unless it already is the file's content.

    Returns
    -------
    bool
        Whether the file was written; if not, its time stamp is as before.
    """
    try:
        if Path(path).read_bytes() == content:
            return False
    except FileNotFoundError:
        pass
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return True


def json_bytes(content: Any) -> bytes:
    """`content` as the JSON that columna writes; NaN and infinities are an error."""
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path` atomically; NaN and infinities are an error."""
    write_text(path, json_bytes(content).decode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If it is no JSON, or is nested too deeply.
    """
    with open_regular(path) as stream:
        content = stream.read()
    try:
        return json.loads(content)  # bytes: a byte order mark is understood
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; NotRegularError for pipes and devices."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp(path: Path | str) -> list[Any] | None:
    """What tells at a glance whether a file is still the one that was read.

    Returns
    -------
    list or None
        Size in bytes, modification time in ns, who may read it, and where the path leads if it is
        a link; None if there is no such file.

    Raises
    ------
    OSError
        If the file system does not answer.
    """
    try:
        status = os.lstat(path)
        leads_to = None
        if stat.S_ISLNK(status.st_mode):
            leads_to, status = os.readlink(path), os.stat(path)  # noqa: PTH115, PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_size, status.st_mtime_ns, status.st_mode & 0o444, leads_to]


def identity(path: Path) -> list[Any]:
    """Size in bytes, modification time in ns, and SHA-256 of a file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, sha256_file(path)]


def has_identity(path: Path | str, known: Sequence[Any], *, content: bool = False) -> bool:
    """Whether a file still is what `identity` said.

    Parameters
    ----------
    path
        The file.
    known
        Its identity; without a digest, size and time must be the same.
    content
        Compare the digest even where size and time are the same.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - asked of millions of files
        if status.st_size != known[0]:
            return False
        if status.st_mtime_ns == known[1] and not content:
            return True
        return len(known) > 2 and sha256_file(Path(path)) == known[2]
    except (FileNotFoundError, NotADirectoryError):
        return False


def sha256_json(content: Any) -> str:
    """SHA-256 of a JSON-serialisable object, independent of the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
