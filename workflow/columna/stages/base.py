"""What the batch runner asks of a stage."""

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from columna.chain import BESIDE, CHAIN
from columna.config import Config
from columna.errors import UnavailableError
from columna.files import sha256_json
from columna.images.volume import Volume
from columna.results.input_digest import check_unchanged
from columna.results.layout import Layout, stages_of
from columna.results.manifest import ScanEntry
from columna.results.scan_files import scan_state
from columna.results.store import Record, Store


@dataclass(frozen=True)
class Saved:
    """What came of a scan: delivered files, small results and masks to keep with the record."""

    files: list[Path] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)


class Stage(ABC):
    """One step of the chain for one scan, in three parts so that the runner can overlap them.

    `load` and `save` touch files, `compute` does not. A scan that cannot be processed raises
    `columna.errors.ScanRefused` in any of them. Constructing a stage is cheap; `open` loads what
    all scans share (a network) and is called only when there is something to compute.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    uses_network: ClassVar[bool] = False

    def __init_subclass__(cls, *, name: str | None = None) -> None:
        """Take what `columna.chain` says of the stage `name`."""
        super().__init_subclass__()
        if name is not None:
            facts = {**CHAIN, **BESIDE}[name]
            cls.name, cls.version, cls.uses_network = name, facts.version, facts.uses_network

    def __init__(self, config: Config, layout: Layout) -> None:
        self.config = config
        self.layout = layout
        self.store = Store(layout)

    def concerns(self, scan: ScanEntry) -> bool:
        """Whether a scan goes through this stage."""
        return self.name in stages_of(scan)

    def state(self, scan: ScanEntry) -> str | None:
        """Whether a file of the cohort has changed, for planning (`columna.upkeep.stale`)."""
        return scan_state(scan)

    def open(self, threads: int) -> None:  # noqa: B027 - most stages share nothing
        """Load what all scans of a batch share; a network may use so many `threads`."""

    @abstractmethod
    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Everything that the result depends on, besides the upstream stage's result."""

    def shared(self) -> dict[str, Any]:
        """The part of the dependencies that all scans share, found without reading large files."""
        return {}

    @property
    def basis(self) -> str:
        """Digest of what the results of all scans rest on: another one makes them stale."""
        return sha256_json({"stage": self.name, "version": self.version, "shared": self.shared()})

    def delivers(self, batch: str) -> list[Path]:
        """Files that `finish` writes."""
        return []

    @abstractmethod
    def load(self, scan: ScanEntry) -> Any:
        """Read what `compute` needs."""

    @abstractmethod
    def compute(self, item: Any) -> Any:
        """The work: from loaded item to result, in memory."""

    @abstractmethod
    def save(self, scan: ScanEntry, result: Any) -> Saved:
        """Write the result of one scan."""

    def fingerprint(self, dependencies: dict[str, Any], upstream: Record | None) -> str:
        """Digest of everything that a result depends on."""
        return sha256_json(
            {
                "stage": self.name,
                "version": self.version,
                "upstream": upstream.fingerprint if upstream else None,
                "dependencies": dependencies,
            }
        )

    def takes(self, upstream: Record) -> bool:
        """Whether a scan that came out of the stages before like this goes through this one."""
        return upstream.status == "done"

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:  # noqa: B027
        """Write what the batch as a whole delivers, after its last scan."""

    def check_input(self, scan: ScanEntry) -> None:
        """Raise StaleError if the image, just read, is not the one that `prepare` saw."""
        expected = self.done(scan, "prepare").dependencies.get("input")
        check_unchanged(scan.path, self.store, scan.scan_id, "input", expected)

    def file(self, scan: ScanEntry, name: str) -> Path:
        """Path of a file of a scan that goes when a later stage has used it."""
        return self.layout.work(scan.scan_id) / name

    def mark(self, scan_id: str) -> Path:
        """The file that is there while a scan is in this stage (`columna.batch.attempts`)."""
        return self.layout.work(scan_id) / f"{self.name}.begun"

    def clean(self, scan: ScanEntry) -> None:
        """Remove the files of `file`, and what a killed process left beside them."""
        shutil.rmtree(self.layout.work(scan.scan_id), ignore_errors=True)

    def done(self, scan: ScanEntry, stage: str) -> Record:
        """The record of an earlier stage that is known to be done."""
        record = self.store.read(scan.scan_id, stage)
        if record is None:
            path = self.store.path(scan.scan_id)
            raise UnavailableError(
                f"{path} holds no result of '{stage}': run `columna {stage}` again"
            )
        return record
