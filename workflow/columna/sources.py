"""The files that a scan is computed from, and how planning sees that one of them has changed."""

from pathlib import Path

from columna.cohort.manifest import MASKS, ScanEntry
from columna.files import sha256_json, stamp
from columna.prepare.modality import sidecar_path


def source_files(scan: ScanEntry) -> dict[str, Path]:
    """Every file of the cohort that is read for `scan`, by what it is; a sidecar may be absent."""
    masks = {mask: getattr(scan, mask) for mask in MASKS if scan.has_masks}
    return {"input": scan.path, "sidecar": sidecar_path(scan.path), **masks}


def scan_state(scan: ScanEntry) -> str | None:
    """Digest of a scan's row in its manifest and of size and time of all its source files.

    Equal states mean that there is nothing to compute; different ones, that a job has to look at
    the contents.

    Returns
    -------
    str or None
        None if image or masks are not there or the file system does not answer: whether that lasts
        is for `columna index` to say.
    """
    files = source_files(scan)
    try:
        stamps = {name: stamp(path) for name, path in files.items()}
    except OSError:
        return None
    if any(found is None for name, found in stamps.items() if name != "sidecar"):
        return None
    # of a path, only the name is part of the answer: a project folder may be moved
    names = {name: path.name for name, path in files.items()}
    row = [scan.scan_id, scan.participant_id, scan.session_id]
    return sha256_json([row, names, stamps])[:16]
