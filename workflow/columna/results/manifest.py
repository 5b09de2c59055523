"""Manifests: the scans of one batch, for the job that works on it.

Light on purpose: Snakefiles import this module while they are parsed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from columna.errors import CohortError
from columna.files import write_if_changed
from columna.results.given_levels import LEVEL_COLUMNS
from columna.results.names import BATCH, SCAN_ID, batch_name, batch_number

IDENTITY = ("scan_id", "participant_id", "session_id")
MASKS = ("semantic", "instance")
"""Fields of existing masks; a scan that has them needs no network."""
REFERENCES = ("reference_semantic", "reference_instance")
"""Fields of masks that the delivered ones are evaluated against."""
FILES = ("path", *MASKS, *REFERENCES)
FIELDS = (*IDENTITY, "path", *MASKS, *LEVEL_COLUMNS)
WITH_REFERENCES = (*FIELDS, *REFERENCES, "reference_convention")
"""Fields of a manifest of which a scan has references; other manifests do without."""


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
    lowest_level, highest_level, anchor
        Levels that the cohort gives (`columna.results.given_levels`), or None.
    reference_semantic, reference_instance
        Masks that the delivered ones are evaluated against; each may be None.
    reference_convention
        What their labels mean (``resources/conventions.yaml``); None: columna's own numbers.
    """

    scan_id: str
    participant_id: str
    session_id: str | None
    path: Path
    semantic: Path | None = None
    instance: Path | None = None
    lowest_level: str | None = None
    highest_level: str | None = None
    anchor: str | None = None
    reference_semantic: Path | None = None
    reference_instance: Path | None = None
    reference_convention: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, str | None]) -> "ScanEntry":
        """A scan from the text of its fields, of which those that may be None may be absent.

        Raises
        ------
        ValueError
            If the image has no path.
        """
        if not row["path"]:
            raise ValueError(row["scan_id"])
        fields: dict[str, Any] = {name: row.get(name) or None for name in WITH_REFERENCES}
        return cls(**fields | {name: Path(fields[name]) for name in FILES if fields[name]})

    @property
    def given_levels(self) -> dict[str, str]:
        """Levels that the cohort gives, by column."""
        values = {name: getattr(self, name) for name in LEVEL_COLUMNS}
        return {name: value for name, value in values.items() if value}

    @property
    def has_references(self) -> bool:
        """Whether there is anything to evaluate the delivered masks against."""
        return self.reference_semantic is not None or self.reference_instance is not None

    @property
    def has_masks(self) -> bool:
        """Whether the scan comes with masks, so that no network is needed."""
        return self.semantic is not None


def check_indexed(index: Path) -> None:
    """Raise CohortError if the folder `index` holds no cohort index."""
    if not (index / "scans.parquet").exists():
        raise CohortError(
            f"{index} holds no cohort index yet: run `columna index` first, or name the results "
            "folder of a run with --results"
        )


def list_batches(index: Path) -> list[str]:
    """Names of all batches of the index folder `index`, in order; empty before the first index.

    Raises
    ------
    CohortError
        If the last line of the ledger is not as columna wrote it.
    """
    path = index / "ledger.tsv"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    # batches are numbered without gaps, so the last line tells them all
    *_, last_line, end = (b"\n\n" + content).rsplit(b"\n", 2)
    last = last_line.rpartition(b"\t")[2].decode(errors="replace")
    if last == "batch" and not end:
        return []
    if end or not BATCH.fullmatch(last):
        raise CohortError(f"{path}: the ledger is damaged; `columna index` says what to do")
    return [batch_name(n) for n in range(1, batch_number(last) + 1)]


def list_evaluated(index: Path) -> list[str]:
    """Names of the batches of the index folder `index` of which a scan has references."""
    return [batch for batch in list_batches(index) if _names_references(index, batch)]


def _names_references(index: Path, batch: str) -> bool:
    try:
        with open(manifest_path(index, batch), encoding="utf-8", errors="replace") as stream:
            return tuple(stream.readline().rstrip("\n").split("\t")) == WITH_REFERENCES
    except OSError:
        return False


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
        fields = tuple(header.split("\t"))
        if fields in (FIELDS, WITH_REFERENCES) and not end:
            return [_entry(dict(zip(fields, line.split("\t"), strict=True))) for line in lines]
    except FileNotFoundError as error:
        raise CohortError(f"{path}: no such batch; run `columna index`") from error
    except (ValueError, TypeError):
        pass  # told below, as a wrong header is
    raise CohortError(f"{path}: the manifest is damaged; run `columna index`")


def find_scan(index: Path, scan_id: str) -> ScanEntry:
    """The scan of this name.

    Raises
    ------
    CohortError
        If the cohort has no such scan.
    """
    for batch in list_batches(index):
        for entry in read_manifest(manifest_path(index, batch)):
            if entry.scan_id == scan_id:
                return entry
    raise CohortError(f"{scan_id}: the cohort index has no scan of this name")


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
    fields = WITH_REFERENCES if any(e.has_references for e in ordered) else FIELDS
    rows = [fields, *([getattr(e, name) or "" for name in fields] for e in ordered)]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def _entry(row: Mapping[str, str]) -> ScanEntry:
    if not SCAN_ID.fullmatch(row["scan_id"]):  # it becomes the name of a folder
        raise ValueError(row["scan_id"])
    return ScanEntry.of(row)
