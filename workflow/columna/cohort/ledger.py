"""The ledger: which batch every scan belongs to, for ever.

Lines are only ever appended. New scans fill the last batch up to the batch size and then open
new ones, so that adding k scans touches about k / batch_size batches and leaves all others as
they are. A scan that leaves the cohort keeps its line, and finds its old place if it returns.
"""

import fcntl
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from columna.errors import CohortError
from columna.files import write_text
from columna.results.lock import NO_LOCKS
from columna.results.names import BATCH, SCAN_ID, batch_name, batch_number

HEADER = "scan_id\tbatch\n"

log = logging.getLogger(__name__)


def read_ledger(path: Path) -> dict[str, str]:
    """Scan -> batch, in the order of assignment; empty where there is no ledger yet.

    Raises
    ------
    CohortError
        If the ledger is not as columna wrote it: cut off, edited, or merged.
    """
    return _parse(_text(path), path)


def extend_ledger(path: Path, scan_ids: Iterable[str], batch_size: int) -> dict[str, str]:
    """Assign the scans that have no batch yet, and keep that.

    Parameters
    ----------
    path
        The ledger; made if need be. The caller holds the lock of its folder (`locked`).
    scan_ids
        All scans of the cohort, in any order: the result does not depend on it.
    batch_size
        Scans that a batch takes up; batches filled under another batch size stay as they are.

    Returns
    -------
    dict
        Scan -> batch for every scan ever assigned.
    """
    text = _text(path)
    ledger = _parse(text, path)
    new = assign(ledger, scan_ids, batch_size)
    lines = "".join(f"{scan_id}\t{batch}\n" for scan_id, batch in new.items())
    if new or not text:
        write_text(path, (text or HEADER) + lines)
    return ledger | new


def assign(ledger: dict[str, str], scan_ids: Iterable[str], batch_size: int) -> dict[str, str]:
    """Batches for those of `scan_ids` that `ledger` does not know, in the order of their names."""
    batches = list(ledger.values())
    last = batch_number(batches[-1]) if batches else 1
    free = batch_size - batches.count(batch_name(last))
    places = (
        batch_name(number)
        for number in count(last)
        for _ in range(free if number == last else batch_size)
    )
    return dict(zip(sorted(set(scan_ids) - ledger.keys()), places, strict=False))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other indexers of `folder` waiting; without effect where files cannot be locked."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning("%s cannot be locked: let only one `columna index` run there", folder)
        yield


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise CohortError(f"{path}: the ledger is damaged: {_REMEDY}") from error


def _parse(text: str, path: Path) -> dict[str, str]:
    if not text:
        return {}
    if not text.startswith(HEADER) or not text.endswith("\n"):
        raise CohortError(f"{path}: the ledger is damaged: {_REMEDY}")
    ledger: dict[str, str] = {}
    last = 0
    for number, line in enumerate(text.split("\n")[1:-1], start=2):
        scan_id, _, batch = line.partition("\t")
        is_next = BATCH.fullmatch(batch) and 0 <= batch_number(batch) - max(last, 1) <= 1
        if not is_next or not SCAN_ID.fullmatch(scan_id) or scan_id in ledger:
            raise CohortError(f"{path}: line {number} of the ledger is damaged: {_REMEDY}")
        ledger[scan_id] = batch
        last = batch_number(batch)
    return ledger


_REMEDY = (
    "restore it from a copy; or delete it: scans are then assigned again, and what is already "
    "computed for a scan is kept"
)
