"""Digest of a scan's input file, remembered as long as size and time of the file stay."""

import json
from pathlib import Path

from columna.errors import StaleError
from columna.files import sha256_file, stamp, write_json


def source_sha256(path: Path, memo: Path) -> str | None:
    """SHA-256 of the bytes of `path`, or None where it cannot be read.

    Parameters
    ----------
    path
        The input file.
    memo
        A small JSON file that keeps the digest with the `columna.files.stamp` it was computed
        for, as git's index does: asking again for an untouched file reads nothing.
    """
    try:
        seen = stamp(path)
        if seen is None:
            return None
        known = _read(memo)
        if known.get("stamp") != seen:
            known = {"stamp": seen, "sha256": sha256_file(path)}
            write_json(memo, known)
    except OSError:
        return None
    return known["sha256"]


def check_unchanged(path: Path, memo: Path, expected: str | None = None) -> None:
    """Raise StaleError if `path`, just read, is not the file that an earlier step saw.

    Parameters
    ----------
    path, memo
        As in `source_sha256`.
    expected
        Digest that the earlier step noted; default: the one in `memo`.
    """
    expected = expected or _read(memo).get("sha256")
    if source_sha256(path, memo) != expected:
        raise StaleError(
            f"{path.name}: the file was replaced while the run was going on; start it again"
        )


def _read(memo: Path) -> dict:
    try:
        return json.loads(memo.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
