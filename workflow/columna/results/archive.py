"""Small files kept together in one ZIP file that is either complete or absent.

Every member carries a checksum, so that a damaged one is noticed and never used. Members have no
time stamp: equal members give equal bytes.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from columna.files import atomic_path


def read_members(path: Path) -> dict[str, bytes]:
    """Sound members of an archive by name; empty where there is no archive.

    Raises
    ------
    OSError
        If the file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception:
        return {}
    found = {name: _sound(archive, name) for name in archive.namelist()}
    return {name: member for name, member in found.items() if member is not None}


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Add or replace members of an archive, atomically; damaged ones are dropped."""
    together = read_members(path) | dict(members)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(together.items()):
            packing = zipfile.ZIP_STORED if name.endswith(".gz") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, packing)


def _sound(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return archive.read(name)
    except Exception:
        return None
