"""Synthetic twins: what the networks of a cohort make of phantoms on the cohort's grids."""

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.chain import CHAIN
from columna.config import Config
from columna.errors import ScanRefused
from columna.evaluate.found_once import match_vertebrae
from columna.evaluate.in_memory import Answer, segment
from columna.evaluate.measured import RowsByTable, measure_answer, measure_truth
from columna.evaluate.twin_plan import TwinPlan
from columna.files import read_json, sha256_json, write_json
from columna.images.triple import three
from columna.images.volume import Volume, save_volume
from columna.measure import MEASURE_VERSION
from columna.models.instance_network import InstanceModel
from columna.models.semantic_network import SemanticModel
from columna.phantom.generate import make_masks, make_phantom
from columna.phantom.settings import PhantomSettings

TRUE_MM = 0.8
"""Largest voxel size of the grid on which the truth is measured; never coarser than the scan."""
BESIDE_MM = 30.0
"""How much wider that grid is on either side: the truth of a spine that a scan cuts is whole."""
THIN_MM, MOST_SHARES = 1.3, 3
"""A slice averages as many thin ones of about this distance, up to three."""
KEYS = ("level", "level_upper")
"""Columns that name the level of a row."""

_log = logging.getLogger(__name__)

Twin = dict[str, Any]
"""What is kept of a twin: ``digest``, ``status``, ``slice_mm``, ``right`` (levels whose vertebrae
were found under their name), ``wrong_n``, and the rows ``found`` and ``true``."""


def run_twins(
    plans: Sequence[TwinPlan],
    semantic: SemanticModel,
    instance: InstanceModel,
    config: Config,
    folder: Path,
) -> Iterator[Twin]:
    """Make, segment and measure twins; those that `folder` holds already are read.

    Parameters
    ----------
    plans
        The twins.
    semantic, instance
        Networks of the cohort.
    config
        Its settings.
    folder
        Gets a file for each twin. One that was made otherwise (other networks, settings, versions
        or scans) is made again.
    """
    made_from = _made_from(semantic, instance, config)
    for plan in plans:
        digest = sha256_json(made_from | {"scan": asdict(plan.scan), **_drawn(plan.settings)})
        path = folder / f"{plan.name}.json"
        twin = _kept(path, digest)
        if twin is None:
            twin = {"digest": digest} | _make(plan, semantic, instance, config)
            write_json(path, twin)
            _log.info("%s (as %s): %s", plan.name, plan.scan.scan_id, twin["status"])
        yield twin


def paint_twin(plan: TwinPlan) -> tuple[Volume, Volume]:
    """The scan of a twin and its true instances: slices average what lies within them."""
    settings, shares = plan.settings, _shares(plan.settings.spacing_mm[2])
    p, i, r = settings.spacing_mm
    fov = settings.fov_mm or (200.0, 250.0, 60.0)
    slices = max(round(fov[2] / r), 1)
    finer = settings.model_copy(
        update={
            "spacing_mm": (p, i, r / shares),
            "fov_mm": (fov[0], fov[1], slices * r),
            # as noisy after the mean as a single slice would be
            "noise": settings.noise * math.sqrt(shares),
        }
    )
    phantom = make_phantom(finer, plan.scan.marrow)
    fine = phantom.image
    image = fine.array.reshape(*fine.shape[:2], slices, shares).mean(axis=3)
    affine = fine.affine.copy()
    affine[:3, 3] += fine.affine[:3, 2] * (shares - 1) / 2
    affine[:3, 2] *= shares
    instance = phantom.instance.array[:, :, shares // 2 :: shares]
    return Volume(np.round(image).astype(np.int16), affine), Volume(instance, affine)


def true_rows(plan: TwinPlan, config: Config) -> RowsByTable:
    """Measures of the truth of a twin, on a fine grid that is wider than its scan."""
    fov = plan.settings.fov_mm or (200.0, 250.0, 60.0)
    fine = plan.settings.model_copy(
        update={
            "spacing_mm": three(min(size, TRUE_MM) for size in plan.settings.spacing_mm),
            "fov_mm": (fov[0], fov[1], fov[2] + 2 * BESIDE_MM),
        }
    )
    return measure_truth(plan.name, *make_masks(fine), config.measure)


def _shares(slice_mm: float) -> int:
    return min(max(round(slice_mm / THIN_MM), 1), MOST_SHARES)


def _make(plan: TwinPlan, semantic: SemanticModel, instance: InstanceModel, config: Config) -> Twin:
    image, true = paint_twin(plan)
    twin: Twin = {"status": "done", "slice_mm": plan.settings.spacing_mm[2], "right": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{plan.name}_T2w.nii.gz"
        save_volume(image, path)
        try:
            answer = segment(path, semantic, instance, config)
        except ScanRefused as refusal:
            return twin | {"status": refusal.code, "wrong_n": 0, "found": {}, "true": {}}
    right, wrong_n = _named(answer, true)
    return twin | {
        "status": answer.status,
        "right": right,
        "wrong_n": wrong_n,
        "found": measure_answer(plan.name, answer, config.measure),
        "true": true_rows(plan, config),
    }


def _named(answer: Answer, true: Volume) -> tuple[list[str], int]:
    """Levels whose vertebra carries their name, and how many vertebrae carry another one."""
    mask = true.reoriented().array
    labels = [int(n) for n in np.unique(mask) if n in levels() and n != SACRUM]
    matches = match_vertebrae(answer.instance.array, mask, labels)
    right = [levels()[m.label].name for m in matches if m.found_label == m.label]
    wrong = [m for m in matches if m.found_label in levels() and m.found_label != m.label]
    return right, len(wrong)


def _kept(path: Path, digest: str) -> Twin | None:
    try:
        twin = read_json(path)
    except (OSError, ValueError):
        return None
    return twin if isinstance(twin, dict) and twin.get("digest") == digest else None


def _drawn(settings: PhantomSettings) -> dict[str, Any]:
    return {"settings": settings.model_dump(mode="json")}


def _made_from(semantic: SemanticModel, instance: InstanceModel, config: Config) -> dict[str, Any]:
    used = {"prepare", "semantic", "instance", "label", "measure"}
    return {
        "models": [semantic.folder.digest, instance.folder.digest],
        "config": config.model_dump(mode="json", include=used),
        "versions": {name: facts.version for name, facts in CHAIN.items()},
        "measure": MEASURE_VERSION,
        "truth": [TRUE_MM, BESIDE_MM, THIN_MM, MOST_SHARES],
    }
