"""What is already computed: a folder per scan with one record per stage.

A record is written last and atomically, so a stage of a scan is done exactly when its record says
so. It carries the fingerprint of everything that the result depends on; another fingerprint means
that the stage has to run again. Snakemake knows nothing of these files, which is why they survive
failed and killed jobs.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from columna.files import write_json
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
        Size in bytes of every file of the result, by path relative to the results folder.
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
    files: dict[str, int] = field(default_factory=dict)
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
            record = Record(**json.loads(self.path(scan_id, stage).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        # a disk that does not tell upper from lower case hands out the record of another scan
        return record if record.scan_id == scan_id else None

    def write(self, record: Record) -> None:
        """Keep a record; from now on the stage counts as ended."""
        write_json(self.path(record.scan_id, record.stage), asdict(record))

    def is_current(self, record: Record | None, fingerprint: str) -> bool:
        """Whether `record` still answers: same fingerprint, all files whole, not a defect."""
        return (
            record is not None
            and record.fingerprint == fingerprint
            and record.status != "failed"
            and all(self._has(name, size) for name, size in record.files.items())
        )

    def _has(self, name: str, size: int) -> bool:
        try:
            return (self.layout.root / name).stat().st_size == size
        except FileNotFoundError:
            return False

    def sizes(self, paths: list[Path]) -> dict[str, int]:
        """`files` of a record for result files just written."""
        return {self.layout.relative(p): p.stat().st_size for p in paths}
