"""Manifests: the scans of one batch, for the job that works on it.

Light on purpose: Snakefiles import this module while they are parsed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from columna.errors import CohortError
from columna.files import write_if_changed
from columna.results.names import SCAN_ID, batch_name, batch_number

FIELDS = ("scan_id", "participant_id", "session_id", "path", "semantic", "instance")
MASKS = ("semantic", "instance")
"""Fields with masks that exist already; a scan that has them needs no network."""


@dataclass(frozen=True)
class ScanEntry:
    """One scan of the cohort.

    Parameters
    ----------
    scan_id
        Unique name, safe as a folder name (`columna.results.names.SCAN_ID`).
    participant_id, session_id
        As the cohort gives them; the session may be None.
    path
        The image; absolute, as those of masks: runs may be started from several folders.
    semantic, instance
        Masks that the cohort gives for the image: both, or None.
    """

    scan_id: str
    participant_id: str
    session_id: str | None
    path: Path
    semantic: Path | None = None
    instance: Path | None = None

    @property
    def has_masks(self) -> bool:
        """Whether the masks exist already, so that no network is needed."""
        return self.semantic is not None


def list_batches(index: Path) -> list[str]:
    """Names of all batches of the index folder `index`, in order; empty before the first index."""
    try:
        *_, last_line, _ = (index / "ledger.tsv").read_text(encoding="utf-8").rsplit("\n", 2)
    except FileNotFoundError:
        return []
    last = last_line.rpartition("\t")[2]
    # batches are numbered without gaps, so the last line tells them all
    return [batch_name(n) for n in range(1, batch_number(last) + 1)] if last != "batch" else []


def manifest_path(index: Path, batch: str) -> Path:
    """Manifest of `batch` in the index folder `index`."""
    return index / "batches" / f"{batch}.tsv"


def read_manifest(path: Path) -> list[ScanEntry]:
    """Read the scans of a manifest, in order of their scan_id.

    Raises
    ------
    CohortError
        If there is no such manifest, or it is damaged.
    """
    try:
        header, *lines, end = path.read_bytes().decode().split("\n")
        if tuple(header.split("\t")) == FIELDS and not end:
            return [_entry(*line.split("\t")) for line in lines]
    except FileNotFoundError as error:
        raise CohortError(f"{path}: no such batch; run `columna index`") from error
    except (ValueError, TypeError):
        pass  # told below, as a wrong header is
    raise CohortError(f"{path}: the manifest is damaged; run `columna index`")


def write_manifests(index: Path, scans: Iterable[tuple[str, ScanEntry]]) -> list[str]:
    """Write one manifest for every batch of the ledger in `index`.

    Manifests whose content stays the same are not touched. A batch whose scans have all left the
    cohort keeps a manifest without rows; manifests of batches that do not exist are removed.

    Parameters
    ----------
    index
        The index folder, with its ledger.
    scans
        Batch and entry of every scan; names and paths without tabs and line breaks.

    Returns
    -------
    list of str
        The batches whose manifest was written.
    """
    members: dict[str, list[ScanEntry]] = {batch: [] for batch in list_batches(index)}
    for batch, entry in scans:
        members[batch].append(entry)
    for old in (index / "batches").glob("b*.tsv"):
        if old.stem not in members:
            old.unlink()
    return [
        batch
        for batch, entries in members.items()
        if write_if_changed(manifest_path(index, batch), _text(entries).encode())
    ]


def _text(entries: list[ScanEntry]) -> str:
    ordered = sorted(entries, key=lambda entry: entry.scan_id)
    rows = [FIELDS, *([getattr(e, name) or "" for name in FIELDS] for e in ordered)]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def _entry(
    scan_id: str, participant_id: str, session_id: str, path: str, semantic: str, instance: str
) -> ScanEntry:
    if not SCAN_ID.fullmatch(scan_id) or not path:  # the scan becomes the name of a folder
        raise ValueError(scan_id)
    masks = (Path(file) if file else None for file in (semantic, instance))
    return ScanEntry(scan_id, participant_id, session_id or None, Path(path), *masks)
