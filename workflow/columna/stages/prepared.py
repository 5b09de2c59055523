"""The prepared image: written by `prepare`, read by `semantic`, and then removed.

It is by far the largest file of a scan, and seconds of work make it again, so it is kept only
until the network has seen it. Where it is missing or damaged when it is needed, for instance
after other weights were chosen, it is made again exactly as the record of `prepare` says.
"""

import logging
from pathlib import Path

from columna.config import PrepareSettings
from columna.errors import UnavailableError
from columna.files import sha256_file
from columna.images.volume import Volume, load_image, save_image
from columna.models.grid import ModelGrid
from columna.prepare import prepare_scan, read_scan
from columna.results.input_digest import digest_of
from columna.results.manifest import ScanEntry
from columna.results.store import Record

PREPARED = "prepared.nii.gz"

log = logging.getLogger(__name__)


def write_prepared(volume: Volume, path: Path) -> str:
    """Write the prepared image and return the digest of the file."""
    save_image(volume, path)
    return sha256_file(path)


def read_prepared(scan: ScanEntry, record: Record, path: Path) -> Volume:
    """Read the prepared image of `scan` from `path`, or make it again.

    Parameters
    ----------
    scan
        The scan.
    record
        The record of `prepare`: settings, grid, and the digests of the scan and of the image.
    path
        Where the image is, if it is there.

    Raises
    ------
    UnavailableError
        If the scan cannot be read, or is not the file any more that `prepare` has seen.
    """
    if not path.exists() or sha256_file(path) != record.values["prepared_sha256"]:
        log.info("%s: the prepared image is made again", scan.scan_id)
        _make_again(scan, record, path)
    return load_image(path)


def _make_again(scan: ScanEntry, record: Record, path: Path) -> None:
    """Repeat what `prepare` did.

    Another processor may round the last bits otherwise, so the image's digest is not compared.
    """
    if digest_of(scan.path) != record.dependencies["input"]:
        raise UnavailableError(
            f"{scan.path} has changed since it was prepared: run `columna prepare` for its batch"
        )
    settings = PrepareSettings(**record.dependencies["settings"])
    grid = ModelGrid(**record.dependencies["grid"])
    save_image(prepare_scan(read_scan(scan.path, settings), grid, settings), path)
