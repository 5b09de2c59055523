"""The files that a scan is computed from, and how planning sees that one of them has changed."""

from collections.abc import Callable
from pathlib import Path

from columna.files import sha256_json, stamp
from columna.prepare.sidecars import FileNames, sidecar_paths
from columna.results.manifest import MASKS, REFERENCES, ScanEntry


def source_files(
    scan: ScanEntry, names_in: Callable[[str], FileNames] | None = None
) -> dict[str, Path]:
    """Every file of the cohort that is read for `scan`, by what it is.

    `names_in` is that of `columna.prepare.sidecars.sidecar_paths`.
    """
    masks = {mask: getattr(scan, mask) for mask in MASKS if scan.has_masks}
    sidecars = enumerate(sidecar_paths(scan.path, names_in))
    return {"input": scan.path, **{f"sidecar {n}": path for n, path in sidecars}, **masks}


def scan_state(scan: ScanEntry, names_in: Callable[[str], FileNames] | None = None) -> str | None:
    """Digest of a scan's row in its manifest and of size and time of all its source files.

    Equal states mean that there is nothing to compute; different ones, that a job has to look at
    the contents.

    Returns
    -------
    str or None
        None if image or masks are not there or the file system does not answer: whether that lasts
        is for `columna index` to say.
    """
    files = source_files(scan, names_in)
    try:
        stamps = {name: stamp(path) for name, path in files.items()}
    except OSError:
        return None
    if any(found is None for found in stamps.values()):
        return None
    # of a path, only the name is part of the answer: a project folder may be moved
    names = {name: path.name for name, path in files.items()}
    row = [scan.scan_id, scan.participant_id, scan.session_id]
    return sha256_json([row, names, stamps])[:16]


def reference_state(scan: ScanEntry) -> str | None:
    """Digest of size and time of a scan's references, and of what their labels mean.

    Returns
    -------
    str or None
        None where the file system does not answer; a reference that is not there has a state, too.
    """
    given = {name: getattr(scan, name) for name in REFERENCES}
    files = {name: path for name, path in given.items() if path is not None}
    try:
        stamps = {name: [path.name, stamp(path)] for name, path in files.items()}
    except OSError:
        return None
    return sha256_json([scan.reference_convention, stamps])[:16]
