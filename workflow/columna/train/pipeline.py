"""One scan through both networks and the labelling, in this process and in memory."""

import time
from dataclasses import dataclass
from pathlib import Path

from columna.config import InstanceSettings, LabelSettings, PrepareSettings, SemanticSettings
from columna.instance.segment import segment_instances
from columna.label import label_masks
from columna.models.instance_network import InstanceModel
from columna.models.semantic_network import SemanticModel
from columna.prepare import prepare_scan, read_scan
from columna.semantic.segment import segment_semantic
from columna.volume import Volume


@dataclass(frozen=True, eq=False)
class Answer:
    """Image and final masks along P, I, R, in the grid of the scan.

    Parameters
    ----------
    image, semantic, instance
        On one grid.
    names
        Names of the vertebrae from top to bottom, None where a level is not known.
    seconds
        Wall time of everything but reading and writing.
    """

    image: Volume
    semantic: Volume
    instance: Volume
    names: tuple[str | None, ...]
    seconds: float


def semantic_raw(path: Path, model: SemanticModel, settings: PrepareSettings) -> Volume:
    """Semantic mask of a scan in the grid of the model."""
    prepared = prepare_scan(read_scan(path, settings), model.grid, settings)
    return segment_semantic(prepared, model, SemanticSettings()).mask


def segment(
    path: Path, semantic: SemanticModel, instance: InstanceModel, settings: PrepareSettings
) -> Answer:
    """Segment and name a scan as the workflow does.

    Raises
    ------
    ScanRefused
        Where any stage refuses it.
    """
    scan = read_scan(path, settings)
    start = time.monotonic()
    prepared = prepare_scan(scan, semantic.grid, settings)
    mask = segment_semantic(prepared, semantic, SemanticSettings()).mask
    raw = segment_instances(mask, instance, InstanceSettings())
    result = label_masks(scan.volume, mask, raw, LabelSettings())
    seconds = time.monotonic() - start
    return Answer(
        scan.volume.reoriented(),
        result.semantic.reoriented(),
        result.instance.reoriented(),
        tuple(level["level"] for level in result.levels),
        seconds,
    )
