"""Digest of a scan's input file, remembered as long as size and time of the file stay."""

from pathlib import Path

from columna.errors import UnavailableError
from columna.files import sha256_file
from columna.store import Store


def source_sha256(
    path: Path, store: Store, scan_id: str, name: str, *, optional: bool = False
) -> str | None:
    """SHA-256 of the bytes of `path`.

    Parameters
    ----------
    path
        The input file.
    store
        Keeps the digest with the size and modification time it was computed for, as git's index
        does: asking again for an untouched file reads nothing.
    scan_id, name
        Which scan, and what the file is to it.
    optional
        Whether None stands for a file that does not exist.

    Raises
    ------
    UnavailableError
        If the file cannot be read.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        if optional:
            return None
        raise UnavailableError.of_input(path, error) from error
    except OSError as error:
        raise UnavailableError.of_input(path, error) from error
    stamp = [status.st_size, status.st_mtime_ns]
    known = store.sources(scan_id).get(name, {})
    if known.get("stamp") != stamp:
        known = {"stamp": stamp, "sha256": digest_of(path)}
        store.remember(scan_id, {name: known})
    return known["sha256"]


def digest_of(path: Path) -> str:
    """SHA-256 of a file of the cohort.

    Raises
    ------
    UnavailableError
        If the file cannot be read.
    """
    try:
        return sha256_file(path)
    except OSError as error:
        raise UnavailableError.of_input(path, error) from error
