"""Masks in memory, measured as the workflow measures them."""

from collections.abc import Mapping, Sequence
from typing import Any

from columna.config import LabelSettings, MeasureSettings
from columna.evaluate.in_memory import Answer
from columna.evaluate.measure_error import IDENTITY
from columna.images.volume import Volume
from columna.label import take_masks
from columna.measure import MeasureContext, measure_scan

RowsByTable = dict[str, list[dict[str, Any]]]
"""Table of measures -> rows."""


def measure_answer(scan_id: str, answer: Answer, settings: MeasureSettings) -> RowsByTable:
    """Measure what the networks found in a scan."""
    masks = (answer.semantic, answer.instance)
    return measure_masks(scan_id, *masks, answer.levels, settings, answer.image, answer.facts)


def measure_truth(
    scan_id: str, semantic: Volume, instance: Volume, settings: MeasureSettings
) -> RowsByTable:
    """Measure true masks, whose instance numbers are their levels.

    Without an image, so that columns of signal have no value.
    """
    named = take_masks(semantic, semantic, instance, LabelSettings())
    return measure_masks(scan_id, named.semantic, named.instance, named.levels, settings)


def measure_masks(
    scan_id: str,
    semantic: Volume,
    instance: Volume,
    levels: Sequence[Mapping[str, Any]],
    settings: MeasureSettings,
    image: Volume | None = None,
    facts: Mapping[str, Any] | None = None,
) -> RowsByTable:
    """Rows of the tables whose columns have an error (`measure_error.IDENTITY`)."""
    context = MeasureContext(
        scan_id, scan_id, None, facts or {}, semantic, instance, image=image, levels=levels
    )
    rows = measure_scan(context, settings)
    return {name: rows[name] for name in IDENTITY}
