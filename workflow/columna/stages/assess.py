"""Stage assess: quality of image, masks and measures, as rows of the table `quality`."""

from pathlib import Path
from typing import Any

from columna.assess import Finding, QualityContext, assess_scan, quality_rows
from columna.assess.rules import rules_sha256
from columna.images.volume import load_volume
from columna.prepare import read_scan
from columna.results.derivatives import Derivatives
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved, Stage
from columna.tables.quality import QUALITY
from columna.tables.shards import write_shard


class AssessStage(Stage, name="assess"):
    """Answer the rules that one scan alone can answer; those of the cohort wait for collect."""

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """The rules; everything else is what the measures depend on."""
        return self.shared()

    def shared(self) -> dict[str, Any]:
        """The rules."""
        return {"rules": rules_sha256()}

    def load(self, scan: ScanEntry) -> QualityContext:
        """Read masks, image and rows."""
        names = Derivatives(self.layout.derivatives, scan.scan_id)
        image = read_scan(scan.path, self.config.prepare).volume
        self.check_input(scan)
        return QualityContext(
            semantic=load_volume(names.semantic),
            instance=load_volume(names.instance),
            image=image,
            rows=self.done(scan, "measure").values["rows"],
        )

    def compute(self, item: QualityContext) -> list[Finding]:
        """Answer the rules."""
        return assess_scan(item)

    def save(self, scan: ScanEntry, result: list[Finding]) -> Saved:
        """Keep the findings in the record, without what the table of rules can tell."""
        return Saved(values={"findings": result})

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Write the batch's rows; scans that are not done have none."""
        rows: list[dict[str, Any]] = []
        for scan, record in zip(scans, records, strict=True):
            if record.status == "done":
                rows += self._rows(scan, record)
        write_shard(self.layout.shard(QUALITY.name, batch), QUALITY.name, rows)

    def delivers(self, batch: str) -> list[Path]:
        """The batch's rows of the table `quality`."""
        return [self.layout.shard(QUALITY.name, batch)]

    def _rows(self, scan: ScanEntry, record: Record) -> list[dict[str, Any]]:
        identity = {
            "participant_id": scan.participant_id,
            "session_id": scan.session_id,
            "scan_id": scan.scan_id,
        }
        findings = [Finding(*entry) for entry in record.values["findings"]]
        vertebrae = self.done(scan, "measure").values["rows"]["vertebrae"]
        return quality_rows(identity, findings, vertebrae)
