"""One scan through both networks and the labelling, in this process and in memory."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from columna.config import Config, PrepareSettings, SemanticSettings
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
    levels
        Names of the vertebrae, and what they rest on (`columna.label.result.LabelResult.levels`).
    facts
        What `prepare` says of the scan.
    convention
        What the labels mean.
    """

    image: Volume
    semantic: Volume
    instance: Volume
    names: tuple[str | None, ...]
    seconds: float
    status: str = "done"
    levels: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    convention: str = "columna"


def semantic_raw(path: Path, model: SemanticModel, settings: PrepareSettings) -> Volume:
    """Semantic mask of a scan in the grid of the model."""
    prepared = prepare_scan(read_scan(path, settings), model.grid, settings)
    return segment_semantic(prepared, model, SemanticSettings()).mask


def segment(path: Path, semantic: SemanticModel, instance: InstanceModel, config: Config) -> Answer:
    """Segment and name a scan as the workflow does.

    Parameters
    ----------
    path
        The scan.
    semantic, instance
        The networks.
    config
        Settings of all stages; what it says of cohort and models does not count.

    Raises
    ------
    ScanRefused
        Where the scan cannot be read, or phase 1 finds no spine.
    """
    scan = read_scan(path, config.prepare)
    start = time.monotonic()
    prepared = prepare_scan(scan, semantic.grid, config.prepare)
    mask = segment_semantic(prepared, semantic, config.semantic).mask
    image = scan.volume.reoriented()
    try:
        raw = segment_instances(mask, instance, config.instance)
    except ScanRefused as refusal:
        nothing = image.with_array(np.zeros(image.shape, np.uint8))
        seconds = time.monotonic() - start
        found = resample_mask_like(mask, image)
        return Answer(image, found, nothing, (), seconds, refusal.code)
    result = label_masks(scan.volume, mask, raw, config.label)
    seconds = time.monotonic() - start
    return Answer(
        image,
        result.semantic.reoriented(),
        result.instance.reoriented(),
        tuple(level["level"] for level in result.levels),
        seconds,
        levels=result.levels,
        facts=scan.facts,
    )
