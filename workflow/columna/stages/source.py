"""Digest of a scan's input file, remembered as long as size and time of the file stay."""

from pathlib import Path

from columna.files import sha256_file
from columna.store import Store


def source_sha256(path: Path, store: Store, scan_id: str, name: str) -> str | None:
    """SHA-256 of the bytes of `path`, or None where it cannot be read.

    Parameters
    ----------
    path
        The input file.
    store
        Keeps the digest with the size and modification time it was computed for, as git's index
        does: asking again for an untouched file reads nothing.
    scan_id, name
        Which scan, and what the file is to it.
    """
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = store.sources(scan_id).get(name, {})
        if known.get("stamp") != stamp:
            known = {"stamp": stamp, "sha256": sha256_file(path)}
            store.remember(scan_id, {name: known})
    except OSError:
        return None
    return known["sha256"]
