"""Digest of a scan's input file, remembered as long as size and time of the file stay."""

import errno
import os
from pathlib import Path

from columna.errors import StaleError, UnavailableError
from columna.files import NotRegularError, sha256_file, stamp
from columna.results.store import Store


def source_sha256(path: Path, store: Store, scan_id: str, name: str) -> str | None:
    """SHA-256 of the bytes of `path`.

    Parameters
    ----------
    path
        The input file.
    store
        Keeps the digest with the `columna.files.stamp` it was computed for, as git's index does:
        asking again for an untouched file reads nothing.
    scan_id, name
        Which scan, and what the file is to it.

    Raises
    ------
    UnavailableError
        If the file cannot be read.
    """
    try:
        seen = stamp(path)
    except OSError as error:
        raise UnavailableError.of_input(path, error) from error
    if seen is None:
        absent = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        raise UnavailableError.of_input(path, absent)
    known = store.sources(scan_id).get(name, {})
    if known.get("stamp") != seen:
        known = {"stamp": seen, "sha256": digest_of(path)}
        store.remember(scan_id, {name: known})
    return known["sha256"]


def check_unchanged(
    path: Path, store: Store, scan_id: str, name: str, expected: str | None = None
) -> None:
    """Raise StaleError if `path`, just read, is not the file that an earlier step saw.

    Parameters
    ----------
    path, store, scan_id, name
        As in `source_sha256`.
    expected
        Digest that the earlier step noted; default: the one in `store`.
    """
    expected = expected or store.sources(scan_id).get(name, {}).get("sha256")
    if source_sha256(path, store, scan_id, name) != expected:
        raise StaleError(
            f"{path.name} was replaced while the run was going on: the next run computes the scan"
        )


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file of the cohort; None for a folder, a pipe or a device.

    Raises
    ------
    UnavailableError
        If the file cannot be read.
    """
    try:
        return sha256_file(path)
    except NotRegularError:
        return None  # nothing to read: reading it as a scan or mask says what it is
    except OSError as error:
        raise UnavailableError.of_input(path, error) from error
