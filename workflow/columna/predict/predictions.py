"""Predicted Dice in the rows of a measured scan."""

from collections.abc import Mapping
from typing import Any

from columna.label.certainty import VoxelCertainty
from columna.predict.quality_model import Bounded, QualityModel, stratum
from columna.predict.signs import evidence
from columna.tables.common import SAGITTAL_CODES
from columna.tables.cord_canal import CORD_CANAL
from columna.tables.discs import DISCS
from columna.tables.finish import amend_row
from columna.tables.vertebrae import VERTEBRAE

PredictedRows = Mapping[str, list[dict[str, Any]]]
_PLACES = {
    "body": (VERTEBRAE, "vertebra", "body_status"),
    "posterior": (VERTEBRAE, "vertebra", "arch_status"),
    "disc": (DISCS, "vertebra_upper", "disc_status"),
    "canal": (CORD_CANAL, "vertebra", "canal_status"),
}
"""Kind -> table, its column that names the vertebra, and why the structure may be missing."""


def with_predictions(
    rows: PredictedRows, certainty: VoxelCertainty, model: QualityModel, *, is_calibrated: bool
) -> dict[str, list[dict[str, Any]]]:
    """Rows of a scan with the expected Dice, and its bound, of all structures that were found.

    Parameters
    ----------
    rows
        Table -> rows, as measured; they are not changed.
    certainty
        How sure phase 1 was.
    model
        What predicts.
    is_calibrated
        Whether it was calibrated for the weights that made the masks.
    """
    predicted = predictions(rows, certainty, model, is_calibrated=is_calibrated)
    filled = dict(rows)
    for kind, (table, owner, status) in _PLACES.items():
        filled[table.name] = [
            amend_row(table, row, _columns(kind, predicted[kind].get(row[owner]), row[status]))
            for row in filled[table.name]
        ]
    return filled


def predictions(
    rows: PredictedRows, certainty: VoxelCertainty, model: QualityModel, *, is_calibrated: bool
) -> dict[str, dict[str, Bounded]]:
    """Kind -> vertebra, as the table `vertebrae` names it -> expected Dice and bound."""
    vertebrae = {r["spineps_label"]: r for r in rows["vertebrae"] if r["spineps_label"]}
    [scan] = rows["scans"]
    found = evidence(rows, certainty)
    answers = {}
    for kind, by_label in found.items():
        owners = [vertebrae[label] for label in by_label]
        strata = [stratum(row["region"], scan["spacing_lr_mm"]) for row in owners]
        bounded = model.kinds[kind](list(by_label.values()), strata, is_calibrated=is_calibrated)
        names = [row["vertebra"] for row in owners]
        answers[kind] = dict(zip(names, bounded, strict=True))
    return answers


def _columns(kind: str, found: Bounded | None, status: str) -> dict[str, Any]:
    if found is None:
        is_there = status in SAGITTAL_CODES
        return {f"{kind}_dice_status": "not_segmented" if is_there else status}
    expected, lower = found
    return {
        f"{kind}_dice_status": "ok",
        f"{kind}_dice_expected_ratio": expected,
        f"{kind}_dice_lower_ratio": lower,
    }
