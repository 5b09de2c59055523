"""Where a run keeps what: the one place that knows the folders below ``results``."""

from dataclasses import dataclass
from pathlib import Path

from columna.chain import CHAIN, EVALUATE, EVALUATED, STAGES
from columna.results.manifest import ScanEntry, manifest_path


def stages_of(scan: ScanEntry) -> tuple[str, ...]:
    """The stages that a scan goes through: one that comes with its masks needs no network."""
    return tuple(s for s in STAGES if not (scan.has_masks and CHAIN[s].uses_network))


def stages_before(stage: str, scan: ScanEntry) -> tuple[str, ...]:
    """The stages that a scan has gone through when it comes to `stage`."""
    end = STAGES.index(EVALUATED) + 1 if stage == EVALUATE else STAGES.index(stage)
    return tuple(s for s in stages_of(scan) if STAGES.index(s) < end)


@dataclass(frozen=True)
class Layout:
    """Paths below the results folder `root`."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration that `columna run` works with."""
        return self.root / "config.yaml"

    @property
    def index(self) -> Path:
        """Cohort index: ``scans.parquet``, ``ledger.tsv``, ``batches/<batch>.tsv``."""
        return self.root / "index"

    @property
    def derivatives(self) -> Path:
        """BIDS derivatives: the final masks and their sidecars."""
        return self.root / "derivatives"

    @property
    def tables(self) -> Path:
        """The delivered Parquet tables and their dictionary."""
        return self.root / "tables"

    def manifest(self, batch: str) -> Path:
        """The scans of one batch."""
        return manifest_path(self.index, batch)

    def stage_table(self, stage: str, batch: str) -> Path:
        """How every scan of a batch came out of a stage."""
        return self.root / "stages" / stage / f"{batch}.tsv"

    def shard(self, table: str, batch: str) -> Path:
        """One batch's rows of a delivered table."""
        return self.root / "shards" / table / f"{batch}.parquet"

    def receipt(self, name: str) -> Path:
        """What a batch, ``collect`` or a model was when last used (`columna.upkeep.receipts`)."""
        return self.root / "receipts" / f"{name}.json"

    def record(self, scan_id: str) -> Path:
        """Archive of everything that is kept of one scan between stages."""
        return self.root / "store" / f"{scan_id}.zip"

    def picture(self, scan_id: str) -> Path:
        """The picture of one scan."""
        return self.root / "pictures" / f"{scan_id}.webp"

    @property
    def report(self) -> Path:
        """Pages for people; `index.html` is the first one."""
        return self.root / "report"

    def work(self, scan_id: str) -> Path:
        """Folder of what is kept of one scan only while it is being computed."""
        return self.root / "work" / scan_id

    def relative(self, path: Path) -> str:
        """`path` as records name it: relative to the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()
