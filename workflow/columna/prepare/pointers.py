"""Small text files that stand for a file kept elsewhere: git-annex, DataLad and Git LFS.

The formats: https://git-annex.branchable.com/internals/pointer_file/ and
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md. Where a file system has no links, git
writes what an annexed link points to as text, which is a path into ``.git/annex/objects``.
"""

import re
from pathlib import Path

from columna.files import open_regular

POINTER_BYTES = 512
"""Enough of a file to know a pointer."""

_POINTERS = (
    (
        re.compile(rb"([^\x00\n]*[\\/])?annex[\\/]objects[\\/][^\x00\n]"),
        "git-annex pointer",
        "datalad get, or git annex get",
    ),
    (
        re.compile(rb"version https?://[^\x00\n]*(git-lfs|hawser|git-media)"),
        "Git LFS pointer",
        "git lfs pull",
    ),
)


def pointer_reason(head: bytes) -> str | None:
    """What to do about a file that is a pointer; None for any other file.

    Parameters
    ----------
    head
        The first `POINTER_BYTES` bytes of the file.
    """
    for pattern, name, command in _POINTERS:
        if pattern.match(head):
            return (
                f"The file is a {name}, not the content itself; get the content first ({command})."
            )
    return None


def file_pointer_reason(path: Path) -> str | None:
    """As `pointer_reason`, of the file `path`; OSError if it cannot be read."""
    with open_regular(path) as stream:
        return pointer_reason(stream.read(POINTER_BYTES))
