"""Read one scan: every byte of the file is verified, and nothing is read that the header forbids.

The header is parsed and checked first; the voxels are then unpacked once, in memory, up to the
size that the header announces. `gzip` verifies checksum and length at the end of the stream, which
nibabel does not reach. Several gzip members and zero padding after the last are legal; other
bytes after it, or more than `SLACK` bytes after the last voxel, are refused.
"""

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from columna.config import PrepareSettings
from columna.errors import ScanRefused, UnavailableError
from columna.images.volume import Volume
from columna.prepare.facts import input_sha256, scan_facts
from columna.prepare.header import HEADER_BYTES, Header, parse_header
from columna.prepare.modality import name_verdict, says_mr, sidecar_verdict
from columna.prepare.pointers import POINTER_BYTES, pointer_reason
from columna.prepare.repair import repaired
from columna.prepare.scan_checks import check_header, check_voxels, is_scaled
from columna.prepare.sidecars import read_sidecar, unusable_sidecars

SLACK = 4096
"""Bytes tolerated after the last voxel (some writers fill up blocks)."""
LABEL_TOLERANCE = 0.01
"""How far a stored label may be from a whole number. Scaling a mask with labels up to 255 to 16-bit
integers moves them by 0.002; interpolation moves voxels on every edge by up to 0.5."""
DEFLATE_LIMIT = 1032
"""No deflate stream unpacks to more than this many times its size."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan that passed all checks.

    Parameters
    ----------
    volume
        Voxels in the file's axis order; the stored type, or float where the header scales them.
    facts
        Values for the table ``scans`` (docs/method.md#facts-of-a-scan); no free text.
    """

    volume: Volume
    facts: dict[str, Any]


def read_scan(path: Path, settings: PrepareSettings) -> Scan:
    """Read and check a scan.

    Parameters
    ----------
    path
        A ``.nii`` or ``.nii.gz`` file (NIfTI-1 or NIfTI-2). Its sidecars are looked for as BIDS
        inherits them (`columna.prepare.sidecars`).
    settings
        What to accept.

    Returns
    -------
    Scan

    Raises
    ------
    ScanRefused
        With the first reason found, in the order name, sidecar, file, header, voxels.
    UnavailableError
        If the file is absent or the system does not hand it out.
    """
    path = Path(path)
    _refuse_if(name_verdict(path))
    sidecar = read_sidecar(path)
    _refuse_if(sidecar_verdict(path, sidecar))
    header, buffer = _read_file(path, settings)
    volume = Volume(_voxels(header, buffer), header.affine)
    check_voxels(volume.array, says_mr(path, sidecar))
    digest = input_sha256(volume)
    array, n_outliers = repaired(volume.array)
    volume = volume.with_array(array)
    facts = scan_facts(volume, header, path, sidecar)
    found = {
        "input_sha256": digest,
        "outlier_voxels_n": n_outliers,
        "unusable_sidecars_n": len(unusable_sidecars(path)),
    }
    return Scan(volume, facts | found)


def read_volume(path: Path, settings: PrepareSettings) -> Volume:
    """Read a NIfTI file as `read_scan` does, whatever its voxels stand for.

    Raises
    ------
    ScanRefused
        If the file is damaged, or its header is not that of a sagittal volume.
    """
    header, buffer = _read_file(path, settings)
    return Volume(_voxels(header, buffer), header.affine)


def read_mask(path: Path, settings: PrepareSettings) -> Volume:
    """Read a mask: whole numbers from 0 to 65,535, however they are stored.

    Masks that were saved from floats as integers have a slope and an intercept in their header,
    and come back a little off (nibabel's `scaling of integers
    <https://nipy.org/nibabel/nifti_images.html#data-scaling>`_): within `LABEL_TOLERANCE` of a
    whole number, a value is that number.

    Raises
    ------
    ScanRefused
        As `read_volume`, and ``mask_labels`` for other numbers.
    """
    volume = read_volume(path, settings)
    labels = _labels(volume.array)
    if labels is None:
        raise ScanRefused("mask_labels", "The voxels are no whole numbers from 0 to 65535.")
    return volume.with_array(labels)


def _labels(array: np.ndarray) -> np.ndarray | None:
    """The whole numbers that `array` holds, uint16; None where it holds others."""
    low, high = array.min(), array.max()
    # written so that NaN fails
    if not (low >= -LABEL_TOLERANCE and high <= np.iinfo(np.uint16).max + LABEL_TOLERANCE):
        return None
    if array.dtype.kind != "f":
        return array.astype(np.uint16, copy=False)
    labels = np.rint(array)
    if np.abs(array - labels).max() > LABEL_TOLERANCE:
        return None
    return labels.astype(np.uint16)


def _refuse_if(verdict: tuple[str, str] | None) -> None:
    if verdict is not None:
        raise ScanRefused(*verdict)


def _read_file(path: Path, settings: PrepareSettings) -> tuple[Header, bytearray]:
    """Header and all bytes of a file, unpacked."""
    with _unpacked(path) as stream:
        head = stream.read(HEADER_BYTES)
        header = parse_header(head)
        check_header(header, settings)
        _check_capacity(header, path)
        buffer = bytearray(max(header.end, len(head)) + SLACK)
        buffer[: len(head)] = head
        n_bytes = _fill(buffer, len(head), stream)
        if n_bytes == len(buffer) and stream.read(1):
            raise ScanRefused(
                "implausible_header", "The file holds more than its header announces."
            )
    if n_bytes < header.end:
        raise ScanRefused(
            "implausible_header",
            f"The header announces {header.end} bytes, the file holds {n_bytes}; convert again.",
        )
    return header, buffer


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading what is in it, unpacked.

    Errors of its content are refusals; what keeps the system from handing it out is none.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ScanRefused("not_nifti", "The path is no regular file.")
        _check_packing(path, packed)
        with gzip.open(path) if packed else open(path, "rb") as stream:
            yield stream
    except EOFError as error:
        raise ScanRefused(
            "unreadable", "The file is cut off before its end; copy or convert it again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ScanRefused(
            "unreadable",
            "The compressed data is damaged (its checksum or structure is wrong); "
            "copy or convert the file again.",
        ) from error
    except OSError as error:  # after those of gzip, which are OSErrors, too
        raise UnavailableError.of_input(path, error) from error


def _check_packing(path: Path, packed: bool) -> None:
    with open(path, "rb") as stream:
        head = stream.read(POINTER_BYTES)
    if not head:
        raise ScanRefused("unreadable", "The file is empty; copy or convert it again.")
    pointer = pointer_reason(head)
    if pointer is not None:
        raise ScanRefused("missing_file", pointer)
    if packed != head.startswith(b"\x1f\x8b"):
        named, held = (".gz", "not gzip") if packed else (".nii", "gzip")
        raise ScanRefused(
            "unreadable",
            f"The name ends in {named}, but the content is {held}; rename or convert the file.",
        )


def _check_capacity(header: Header, path: Path) -> None:
    """Refuse a header that announces more than the file can hold, before memory is taken."""
    n_bytes = path.stat().st_size
    if path.name.lower().endswith(".gz"):
        n_bytes *= DEFLATE_LIMIT
    if header.end > n_bytes:
        raise ScanRefused(
            "implausible_header",
            f"The header announces {header.end} bytes, more than the file can hold; "
            "it was cut off or its header is wrong.",
        )


def _fill(buffer: bytearray, start: int, stream: BufferedIOBase) -> int:
    """Read from `stream` into `buffer` until either ends; the filled length."""
    view = memoryview(buffer)
    while start < len(buffer) and (count := stream.readinto(view[start:])):
        start += count
    return start


def _voxels(header: Header, buffer: bytearray) -> np.ndarray:
    """The image in native byte order, scaled; float32 holds scaled integers of up to 16 bits."""
    count = int(np.prod(header.shape))
    stored = np.frombuffer(buffer, header.stored_type, count, header.offset)
    stored = stored.reshape(header.shape, order="F")
    native = header.stored_type.newbyteorder("=")
    if not is_scaled(header):
        return stored.astype(native, order="K", copy=False)
    scaled = stored.astype(np.promote_types(native, np.float32), order="K")
    scaled *= header.slope
    scaled += header.intercept
    return scaled
