"""Stage measure: final masks become rows, and a batch's rows become shards of the tables."""

from functools import cached_property
from pathlib import Path
from typing import Any

from columna import __version__
from columna.config import config_sha256
from columna.images.volume import Volume, load_volume
from columna.label.certainty import NetworkAnswers, VoxelCertainty
from columna.measure import MEASURE_VERSION, MeasureContext, measure_scan, unmeasured_scan_row
from columna.predict.predictions import with_predictions
from columna.predict.quality_model import BUNDLED, QualityModel
from columna.prepare import read_scan
from columna.prepare.modality import acquisition_facts
from columna.prepare.sidecars import read_sidecar
from columna.provenance import container_digest, git_commit
from columna.results.derivatives import Derivatives
from columna.results.layout import stages_before
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved, Stage
from columna.stages.instance import INSTANCE
from columna.stages.semantic import MAPS, SEMANTIC
from columna.tables.catalogue import MEASURED
from columna.tables.schema import SCHEMA_VERSION
from columna.tables.shards import write_shard

NETWORKS = ("semantic", "instance")
ANSWERS = (SEMANTIC, INSTANCE, *MAPS)
"""What the store keeps of the answers of both networks."""
TableRows = dict[str, list[dict[str, Any]]]


class MeasureStage(Stage, name="measure"):
    """Count, locate and describe; the rows wait in the record until the batch is complete."""

    @cached_property
    def quality(self) -> QualityModel:
        """What predicts Dice."""
        return QualityModel.load(self.config.models.quality or BUNDLED)

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Who was scanned (it is in every row), settings, and the definitions of the measures."""
        return {"identity": [scan.participant_id, scan.session_id], **self.shared()}

    def shared(self) -> dict[str, Any]:
        """Settings, definitions of the measures, and the version of columna, which rows name."""
        return {
            "pipeline_version": __version__,
            "schema_version": SCHEMA_VERSION,
            "settings": self.config.measure.model_dump(mode="json"),
            "measure_version": MEASURE_VERSION,
            "quality_model": self.quality.sha256,
            "config_sha256": config_sha256(self.config),
        }

    def load(self, scan: ScanEntry) -> MeasureContext:
        """Read masks and image, and what earlier stages noted."""
        records = {stage: self.done(scan, stage) for stage in stages_before(self.name, scan)}
        names = Derivatives(self.layout.derivatives, scan.scan_id)
        image = read_scan(scan.path, self.config.prepare).volume
        self.check_input(scan)
        instance = load_volume(names.instance)
        return MeasureContext(
            scan_id=scan.scan_id,
            participant_id=scan.participant_id,
            session_id=scan.session_id,
            facts=records["prepare"].values["facts"],
            semantic=load_volume(names.semantic),
            instance=instance,
            image=image,
            levels=records["label"].values["levels"],
            variants=records["label"].values["naming"].get("variants", {}),
            confidence=self._confidence(records.get("semantic")),
            certainty=self._certainty(scan, instance),
            provenance=self._provenance(scan, records),
        )

    def compute(self, item: MeasureContext) -> TableRows:
        """Rows of every table, with the Dice that every structure probably has."""
        rows = measure_scan(item, self.config.measure)
        if item.certainty is None:
            return rows
        is_calibrated = item.provenance["dice_calibration"] == "calibrated"
        return with_predictions(rows, item.certainty, self.quality, is_calibrated=is_calibrated)

    def save(self, scan: ScanEntry, result: TableRows) -> Saved:
        """Keep the rows in the record."""
        return Saved(values={"rows": result})

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Write the batch's rows of every table; a scan that is not done has a row in `scans`."""
        rows: TableRows = {name: [] for name in MEASURED}
        for scan, record in zip(scans, records, strict=True):
            for name, found in self._rows(scan, record).items():
                rows[name].extend(found)
        for name, found in rows.items():
            write_shard(self.layout.shard(name, batch), name, found)

    def delivers(self, batch: str) -> list[Path]:
        """The batch's rows of every table of measures."""
        return [self.layout.shard(name, batch) for name in MEASURED]

    @staticmethod
    def _confidence(semantic: Record | None) -> dict[int, dict[str, float]]:
        """By semantic label; given masks come without."""
        return {int(k): v for k, v in semantic.values["confidence"].items()} if semantic else {}

    def _certainty(self, scan: ScanEntry, instance: Volume) -> VoxelCertainty | None:
        """What the networks said, by final instance; given masks come without."""
        if scan.has_masks:
            return None
        raw = {name: self.store.volume(scan.scan_id, name) for name in ANSWERS}
        return VoxelCertainty.of(NetworkAnswers(**raw), instance)

    def _rows(self, scan: ScanEntry, record: Record) -> TableRows:
        if record.status == "done":
            return record.values["rows"]
        prepared = self.store.read(scan.scan_id, "prepare")
        facts = prepared.values.get("facts") if prepared else None
        row = unmeasured_scan_row(
            scan_id=scan.scan_id,
            participant_id=scan.participant_id,
            session_id=scan.session_id,
            stage=record.stage,
            status=record.status,
            code=record.code,
            reason=record.reason,
            facts=facts or acquisition_facts(scan.path, read_sidecar(scan.path)),
            provenance=self._provenance(scan, {}) | {"mask_source": _mask_source(scan, record)},
        )
        return {"scans": [row]}

    def _provenance(self, scan: ScanEntry, records: dict[str, Record]) -> dict[str, Any]:
        models = {
            s: r.dependencies["model"] for s, r in records.items() if "model" in r.dependencies
        }
        named = {
            f"model_{stage}{end}": model[key]
            for stage, model in models.items()
            for end, key in (("", "name"), ("_sha256", "sha256"))
        }
        if len(models) == len(NETWORKS):
            digests = [models[stage]["sha256"] for stage in NETWORKS]
            is_known = self.quality.is_calibrated_for(*digests)
            named["dice_calibration"] = "calibrated" if is_known else "other_weights"
            named["model_quality_sha256"] = self.quality.sha256
        if "label" in records:
            named["model_labeling"] = records["label"].values["naming"].get("method")
        return {
            "mask_source": _mask_source(scan, records.get("label")),
            "pipeline_version": __version__,
            "git_commit": git_commit(),
            "container_digest": container_digest(),
            "config_sha256": config_sha256(self.config),
            "measure_version": MEASURE_VERSION,
        } | named


def _mask_source(scan: ScanEntry, label: Record | None) -> str:
    """Where masks come from, by what stage label depended on, if it was reached."""
    corrections = label.dependencies.get("corrections", {}) if label else {}
    if corrections.get("masks"):
        return "corrected"
    return "given" if scan.has_masks else "computed"
