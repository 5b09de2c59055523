"""One scan through both networks and the labelling, in this process and in memory."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from columna.config import InstanceSettings, LabelSettings, PrepareSettings, SemanticSettings
from columna.errors import ScanRefused
from columna.images.volume import Volume, resample_mask_like
from columna.instance.phase_2 import segment_instances
from columna.label import label_masks
from columna.models.instance_network import InstanceModel
from columna.models.semantic_network import SemanticModel
from columna.prepare import prepare_scan, read_scan
from columna.semantic.phase_1 import segment_semantic


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
    status
        ``done``, or the code of the reason why no vertebra could be separated; the semantic mask
        is then that of phase 1.
    """

    image: Volume
    semantic: Volume
    instance: Volume
    names: tuple[str | None, ...]
    seconds: float
    status: str = "done"


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
        Where the scan cannot be read, or phase 1 finds no spine.
    """
    scan = read_scan(path, settings)
    start = time.monotonic()
    prepared = prepare_scan(scan, semantic.grid, settings)
    mask = segment_semantic(prepared, semantic, SemanticSettings()).mask
    image = scan.volume.reoriented()
    try:
        raw = segment_instances(mask, instance, InstanceSettings())
    except ScanRefused as refusal:
        nothing = image.with_array(np.zeros(image.shape, np.uint8))
        seconds = time.monotonic() - start
        found = resample_mask_like(mask, image)
        return Answer(image, found, nothing, (), seconds, refusal.code)
    result = label_masks(scan.volume, mask, raw, LabelSettings())
    seconds = time.monotonic() - start
    return Answer(
        image,
        result.semantic.reoriented(),
        result.instance.reoriented(),
        tuple(level["level"] for level in result.levels),
        seconds,
    )
