"""Which paths belong to a scan alone: no other scan of the cohort may write them."""

from pathlib import Path

from columna.results.derivatives import Derivatives
from columna.results.layout import Layout

_LAYOUT = Layout(Path())


def owned_paths(scan_id: str) -> tuple[str, ...]:
    """Files and folders that are written for `scan_id` only, below the results folder.

    In lower case, because some disks do not tell upper from lower case. Stages, shards and logs
    are named after batches.
    """
    names = Derivatives(_LAYOUT.derivatives, scan_id)
    paths = [_LAYOUT.record(scan_id), _LAYOUT.work(scan_id), _LAYOUT.picture(scan_id), *names.files]
    if names.folder.name == scan_id:
        paths.append(names.folder)
    return tuple(path.as_posix().lower() for path in paths)
