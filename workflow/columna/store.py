"""What is already computed: a folder per scan with one record per stage.

A record is written last and atomically, so a stage of a scan is done exactly when its record says
so. It carries the fingerprint of everything that the result depends on; another fingerprint means
that the stage has to run again. Snakemake knows nothing of these files, which is why they survive
failed and killed jobs.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from columna.files import has_identity, identity, write_json
from columna.layout import Layout

Status = Literal["done", "refused", "failed"]


@dataclass(frozen=True)
class Record:
    """How one stage of one scan ended.

    Parameters
    ----------
    stage
        The stage that ended; for a scan that was refused, later stages hand on this record.
    status
        ``done``; ``refused`` (the scan cannot be processed); ``failed`` (a defect: see the log).
    code, reason
        Why a scan is not done: a code of ``resources/reasons.tsv`` and a sentence.
    dependencies
        What the fingerprint was made of, besides the upstream stage: settings, model, input.
    files
        `columna.files.identity` of every file of the result, by path relative to the results
        folder.
    values
        Small results, JSON.
    computations_n
        How often this stage of this scan has been computed in this store.
    seconds
        Wall time of the last computation. Not part of any table: tables repeat bit by bit.
    """

    stage: str
    scan_id: str
    fingerprint: str
    status: Status
    code: str | None = None
    reason: str | None = None
    dependencies: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    computations_n: int = 1
    seconds: float = 0.0


class Store:
    """Records of one results folder."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def path(self, scan_id: str, stage: str) -> Path:
        """File of the record of a scan's stage."""
        return self.layout.scan(scan_id) / f"{stage}.json"

    def read(self, scan_id: str, stage: str) -> Record | None:
        """The record of a scan's stage, or None where there is none that can be used."""
        try:
            return _unsealed(json.loads(self.path(scan_id, stage).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Keep a record; from now on the stage counts as ended."""
        write_json(self.path(record.scan_id, record.stage), _sealed(record))

    def is_current(self, record: Record | None, fingerprint: str) -> bool:
        """Whether `record` still answers: same fingerprint, all files whole, not a defect."""
        return (
            record is not None
            and record.fingerprint == fingerprint
            and record.status != "failed"
            and self.is_whole(record)
        )

    def is_whole(self, record: Record, *, content: bool = False) -> bool:
        """Whether all files of a record are as they were written.

        Size and time are compared, and where only the time differs or `content` is asked for, the
        digest.
        """
        root = self.layout.root
        return all(
            has_identity(root / name, known, content=content)
            for name, known in record.files.items()
        )

    def refreshed(self, record: Record) -> Record:
        """A record whose files are whole, with their times as they are now; it is kept."""
        files = {
            name: [known[0], (self.layout.root / name).stat().st_mtime_ns, *known[2:]]
            for name, known in record.files.items()
        }
        if files == record.files:
            return record
        record = replace(record, files=files)
        self.write(record)
        return record

    def identify(self, paths: list[Path]) -> dict[str, list[Any]]:
        """`files` of a record for result files just written."""
        return {self.layout.relative(path): identity(path) for path in paths}

    def kept(self, scan_id: str) -> list[Path]:
        """The files that hold what is kept of a scan between stages."""
        return sorted(self.layout.scan(scan_id).glob("*.json"))

    def scan_ids(self) -> set[str]:
        """The scans of which anything is kept."""
        try:
            return {path.name for path in (self.layout.root / "store").iterdir()}
        except FileNotFoundError:
            return set()

    def forget(self, scan_id: str) -> None:
        """Drop all that is kept of a scan, so that all stages compute it anew."""
        shutil.rmtree(self.layout.scan(scan_id), ignore_errors=True)


def _sealed(record: Record) -> dict[str, Any]:
    """A record as it is kept: with a digest, by which an edited one is told."""
    content = asdict(record)
    return content | {"seal": _digest(content)}


def _unsealed(content: Any) -> Record:
    """Undo `_sealed`; ValueError if the record is not as it was written."""
    if not isinstance(content, dict) or content.pop("seal", None) != _digest(content):
        raise ValueError("no record as columna wrote it")
    return Record(**content)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()
