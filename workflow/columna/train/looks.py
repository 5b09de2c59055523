"""Looks at real scans while a network is trained: the synthetic loss does not choose weights."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from columna.anatomy import DISC_OFFSET, SACRUM
from columna.config import InstanceSettings, PrepareSettings
from columna.errors import ScanRefused
from columna.evaluate.found_once import count_vertebrae, match_vertebrae, structure_dice
from columna.evaluate.in_memory import semantic_raw
from columna.evaluate.overlap import dice
from columna.evaluate.pictures import save_picture
from columna.images.volume import Volume, resample_mask_like
from columna.instance.phase_2 import segment_instances
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import SemanticModel, load_semantic_model
from columna.prepare import read_mask, read_scan
from columna.train.labels import ALL, CLASSES, ONE_PHASE, Classes
from columna.train.networks.loop import CurvePoint
from columna.train.networks.model_folders import EXPORTS
from columna.train.recipe import TrainConfig
from columna.train.samples.dataset import MASKS, SheetRow, sheet_rows

SHOWN = ("vertebral_body", "disc", "canal_with_cord", "posterior_elements", *ONE_PHASE.structures)
"""Structures whose Dice is drawn; all of them would be too many curves."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LookedScan:
    """A scan to look at: along P, I, R, with the masks that the sheet names."""

    scan_id: str
    path: Path
    image: Volume
    masks: dict[str, Volume]


class Looks:
    """The scans of a sheet, segmented by a network that is still being trained.

    Parameters
    ----------
    phase
        semantic or instance.
    config
        Its ``looks`` name the sheet.
    folder
        Gets ``model/`` (the weights of the last look) and ``<scan>/<step>.png``.
    """

    def __init__(self, phase: str, config: TrainConfig, folder: Path) -> None:
        self._config, self._folder, self._phase = config, folder, phase
        self._semantic: dict[str, Volume] = {}
        if config.looks.sheet is None:
            raise ValueError("looks.sheet names no sheet")
        rows = sheet_rows(config.looks.sheet)
        self._scans = [scan for row in rows if (scan := _read(row, config.prepare))]

    def take(self, step: int, network: nn.Module) -> list[CurvePoint]:
        """Segment every scan, write its picture, and give its Dice or its count of vertebrae."""
        classes = CLASSES[self._config.semantic.classes]
        EXPORTS[self._phase](network, self._folder / "model", classes)
        look = {"semantic": self._semantic_masks, "instance": self._instance_masks}[self._phase]
        points: list[CurvePoint] = []
        for scan, found in look():
            values = _values(scan, found, classes)
            text = "  ".join(f"{name} {value:.2f}" for name, value in values.items())
            _log.info("look at %s, step %d: %s", scan.scan_id, step, text)
            path = self._folder / scan.scan_id / f"{step:07d}.png"
            masks = {name: mask.array for name, mask in found.items()}
            save_picture(scan.image, masks, f"{scan.scan_id}, step {step}\n{text}", path)
            points += [
                ("look", f"{scan.scan_id}, {name}", value)
                for name, value in values.items()
                if name in (*SHOWN, "vertebrae")
            ]
        return points

    def _semantic_masks(self) -> Sequence[tuple[LookedScan, dict[str, Volume]]]:
        model = load_semantic_model(self._folder / "model", self._config.device, may_compile=False)
        return [
            (scan, {"semantic": mask})
            for scan in self._scans
            if (mask := self._segmented(scan, model))
        ]

    def _instance_masks(self) -> Sequence[tuple[LookedScan, dict[str, Volume]]]:
        model = load_instance_model(self._folder / "model", self._config.device, may_compile=False)
        answers = []
        for scan in self._scans:
            given = self._given_semantic(scan)
            if given is None:
                continue
            found = _attempt(partial(segment_instances, given, model, InstanceSettings()), scan)
            if found:
                answers.append((scan, {"semantic": given, "instance": found}))
        return answers

    def _segmented(self, scan: LookedScan, model: SemanticModel) -> Volume | None:
        return _attempt(partial(semantic_raw, scan.path, model, self._config.prepare), scan)

    def _given_semantic(self, scan: LookedScan) -> Volume | None:
        """The mask of the sheet, or that of a finished phase 1, found once."""
        if "semantic" in scan.masks:
            return scan.masks["semantic"]
        if scan.scan_id not in self._semantic:
            folder = find_model(self._config.looks.semantic_model)
            model = load_semantic_model(folder, self._config.device, may_compile=False)
            mask = self._segmented(scan, model)
            if mask is None:
                return None
            self._semantic[scan.scan_id] = mask
        return self._semantic[scan.scan_id]


def _read(row: SheetRow, settings: PrepareSettings) -> LookedScan | None:
    """Read a scan and its masks; None, and a line in the log, where that is impossible."""
    if row.status != "ok":
        _log.warning("no looks at %s: %s", row.scan_id, row.reason)
        return None
    try:
        image = read_scan(row.path, settings).volume.reoriented()
        masks = {
            kind: resample_mask_like(read_mask(path, settings), image)
            for kind in MASKS
            if (path := row.masks[kind])
        }
    except ScanRefused as refusal:
        _log.warning("no looks at %s: %s", row.scan_id, refusal.reason)
        return None
    return LookedScan(row.scan_id, row.path, image, masks)


def _attempt(segmented: Callable[[], Volume], scan: LookedScan) -> Volume | None:
    """Segment a scan onto its own grid; None where the network finds nothing yet."""
    try:
        return resample_mask_like(segmented(), scan.image)
    except ScanRefused as refusal:
        _log.info("look at %s: %s", scan.scan_id, refusal.reason)
        return None


def _values(scan: LookedScan, found: dict[str, Volume], classes: Classes) -> dict[str, float]:
    """Dice where the truth is known; else, for instances, how many there are."""
    if "instance" not in found:
        true = scan.masks.get("semantic")
        if true is None or classes == ALL:
            return structure_dice(found["semantic"].array, true.array) if true else {}
        numbers = enumerate(classes.structures, 1)
        known = classes.class_of[true.array.astype(np.uint8)]
        return {name: dice(found["semantic"].array == n, known == n) for n, name in numbers}
    instance = found["instance"].array
    if "instance" not in scan.masks:
        return {"vertebrae found": count_vertebrae(instance)}
    known = scan.masks["instance"].array
    labels = [int(n) for n in np.unique(known) if 0 < n < DISC_OFFSET and n != SACRUM]
    scores = [match.dice for match in match_vertebrae(instance, known, labels)]
    return {"vertebrae": float(np.mean(scores)), "vertebrae found": count_vertebrae(instance)}
