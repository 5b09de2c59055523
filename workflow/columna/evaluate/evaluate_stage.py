"""Stage evaluate: the delivered masks of a cohort against the references that its sheet names."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from columna.anatomy import RESOURCES
from columna.chain import EVALUATE
from columna.errors import ColumnaError, ScanRefused
from columna.evaluate.conventions import find_convention, structure_labels
from columna.evaluate.pairs import (
    Evaluated,
    Pair,
    compare_masks,
    pair_row,
    read_masks,
    value_row,
)
from columna.evaluate.scan_values import Value
from columna.files import sha256_file
from columna.images.volume import Volume
from columna.results.derivatives import Derivatives
from columna.results.input_digest import check_unchanged, source_sha256
from columna.results.manifest import REFERENCES, ScanEntry
from columna.results.scan_files import reference_state
from columna.results.store import Record
from columna.stages.base import Saved, Stage
from columna.tables.evaluation import EVALUATION, PAIRS
from columna.tables.shards import write_shard

BAD_REFERENCE = "bad_reference"


@dataclass(frozen=True, eq=False)
class EvaluateItem:
    """A pair and its masks, by kind."""

    pair: Pair
    predicted: dict[str, Volume]
    true: dict[str, Volume]


class EvaluateStage(Stage, name=EVALUATE):
    """Compare masks; a scan whose reference cannot be used is refused here alone."""

    def concerns(self, scan: ScanEntry) -> bool:
        """Only scans with references go through this stage."""
        return scan.has_references

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """References and what their labels mean; None for a file that is not there."""
        references = {
            name: self._digest(scan, name) for name in REFERENCES if getattr(scan, name) is not None
        }
        return {
            "references": references,
            "convention": self._convention(scan),
            "structures": {name: list(labels) for name, labels in structure_labels().items()},
        }

    def state(self, scan: ScanEntry) -> str | None:
        """Size and time of the references."""
        return reference_state(scan)

    def shared(self) -> dict[str, Any]:
        """Conventions, and the structures that are evaluated."""
        return {
            "settings": self.config.evaluate.model_dump(mode="json"),
            "conventions": sha256_file(RESOURCES / "conventions.yaml"),
            "structures": sha256_file(RESOURCES / "evaluation_structures.tsv"),
        }

    def load(self, scan: ScanEntry) -> EvaluateItem:
        """Read both pairs of masks."""
        pair = self._pair(scan)
        predicted = read_masks(pair, "prediction")
        try:
            true = read_masks(pair, "reference")
        except ColumnaError as error:
            raise _refused(error, pair) from error
        for name in REFERENCES:
            if getattr(scan, name) is not None:
                check_unchanged(getattr(scan, name), self.store, scan.scan_id, name)
        return EvaluateItem(pair, predicted, true)

    def compute(self, item: EvaluateItem) -> Evaluated:
        """Compare."""
        own = self.config.evaluate.conventions
        try:
            return compare_masks(item.pair, item.predicted, item.true, own)
        except ColumnaError as error:
            raise _refused(error, item.pair) from error

    def save(self, scan: ScanEntry, result: Evaluated) -> Saved:
        """Keep the values in the record."""
        return Saved(
            values={
                "rows": [list(vars(value).values()) for value in result.rows],
                "is_resampled": result.is_resampled,
                "inside_ratio": result.inside_ratio,
            }
        )

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Write the batch's rows of both tables."""
        answers = list(self._answers(scans, records))
        rows = (value_row(answer, value) for answer, _ in answers for value in answer.rows)
        write_shard(self.layout.shard(EVALUATION.name, batch), EVALUATION.name, rows)
        pairs = [pair_row(answer) | {"status": status} for answer, status in answers]
        write_shard(self.layout.shard(PAIRS.name, batch), PAIRS.name, pairs)

    def delivers(self, batch: str) -> list[Path]:
        """The batch's rows of the tables ``evaluation`` and ``evaluation_pairs``."""
        return [self.layout.shard(table.name, batch) for table in (EVALUATION, PAIRS)]

    def _answers(
        self, scans: list[ScanEntry], records: list[Record]
    ) -> Iterator[tuple[Evaluated, str]]:
        """What came of every scan with references, and its status."""
        for scan, record in zip(scans, records, strict=True):
            if not scan.has_references:
                continue
            pair = self._pair(scan)
            if record.status != "done":
                before = "" if record.stage == self.name else f"no masks ({record.code}): "
                yield Evaluated(pair, reason=f"{before}{record.reason}"), record.status
                continue
            rows = tuple(Value(*fields) for fields in record.values["rows"])
            facts = {name: record.values[name] for name in ("is_resampled", "inside_ratio")}
            yield Evaluated(pair, rows, **facts), "done"

    def _pair(self, scan: ScanEntry) -> Pair:
        delivered = Derivatives(self.layout.derivatives, scan.scan_id)
        return Pair(
            scan.scan_id,
            scan.participant_id,
            delivered.semantic,
            delivered.instance,
            scan.reference_semantic,
            scan.reference_instance,
            reference_convention=scan.reference_convention or "columna",
        )

    def _digest(self, scan: ScanEntry, name: str) -> str | None:
        path: Path = getattr(scan, name)
        return source_sha256(path, self.store, scan.scan_id, name) if path.is_file() else None

    def _convention(self, scan: ScanEntry) -> dict[str, Any] | None:
        name = scan.reference_convention or "columna"
        try:
            convention = find_convention(name, self.config.evaluate.conventions)
        except ColumnaError:
            return None  # load says so
        content = asdict(convention) | {"cut": sorted(convention.cut)}
        # as JSON keeps it, so that a record that is read again compares equal
        return content | {"levels": {str(label): name for label, name in convention.levels.items()}}


def _refused(error: ColumnaError, pair: Pair) -> ScanRefused:
    """Refuse the reference; folders of the machine have no place in tables."""
    reason = str(error)
    for path in (pair.reference_semantic, pair.reference_instance):
        if path is not None:
            reason = reason.replace(str(path), path.name)
    return ScanRefused(BAD_REFERENCE, reason)
