"""Shared by benchmarks/rules.py: scans with a truth, judged by the rules.

What networks answer is kept by `columna.evaluate.known_scans`, in one folder with what
`columna train quality` is calibrated on.
"""

from dataclasses import dataclass
from typing import Any

from columna.assess import Finding, QualityContext, assess_scan
from columna.evaluate.known_scans import KeptAnswers, KnownScan, measured
from columna.images.volume import Volume
from columna.predict.predictions import with_predictions
from columna.predict.quality_model import BUNDLED, QualityModel


@dataclass(frozen=True, eq=False)
class Judged:
    """What came of a case; without `rows`, the `code` says why it was refused."""

    case: KnownScan
    code: str = "done"
    semantic: Volume | None = None
    instance: Volume | None = None
    rows: dict[str, list[dict[str, Any]]] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def vertebrae(self) -> list[dict[str, Any]]:
        """Rows of the vertebrae that were found."""
        return [r for r in (self.rows or {}).get("vertebrae", ()) if r["spineps_label"]]


def judge(case: KnownScan, networks: KeptAnswers) -> Judged:
    """Name, measure and assess what the networks made of a case."""
    found = measured(case, networks)
    if found.context is None:
        return Judged(case, found.code)
    context, rows = found.context, found.rows
    model = QualityModel.load(BUNDLED)
    is_calibrated = model.is_calibrated_for(*networks.digests)
    rows = with_predictions(rows, context.certainty, model, is_calibrated=is_calibrated)
    calibration = "calibrated" if is_calibrated else "other_weights"
    rows["scans"] = [row | {"dice_calibration": calibration} for row in rows["scans"]]
    quality = QualityContext(context.semantic, context.instance, context.image, rows)
    findings = tuple(assess_scan(quality))
    return Judged(case, "done", context.semantic, context.instance, rows, findings)
