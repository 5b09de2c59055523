"""Digest of a scan's input file, remembered as long as size and time of the file stay."""

import json
from pathlib import Path

from columna.files import sha256_file, write_json


def source_sha256(path: Path, memo: Path) -> str | None:
    """SHA-256 of the bytes of `path`, or None where it cannot be read.

    Parameters
    ----------
    path
        The input file.
    memo
        A small JSON file that keeps the digest with the size and modification time it was
        computed for, as git's index does: asking again for an untouched file reads nothing.
    """
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = _read(memo)
        if known.get("stamp") != stamp:
            known = {"stamp": stamp, "sha256": sha256_file(path)}
            write_json(memo, known)
    except OSError:
        return None
    return known["sha256"]


def _read(memo: Path) -> dict:
    try:
        return json.loads(memo.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
