"""The baseline of the paper: one network that draws vertebra, disc and canal, and no second phase.

A rule, not a network, tells vertebrae apart (docs/baseline.md): bodies are watersheds of what lies
deep inside the bone in front of the canal; the bone beside and behind it goes to bodies by height.
"""

import time
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from columna.anatomy import DISC_OFFSET, NAMELESS
from columna.config import PrepareSettings, SemanticSettings
from columna.errors import ModelError
from columna.evaluate.in_memory import Answer
from columna.images.volume import resample_mask_like
from columna.models.semantic_network import SemanticModel
from columna.prepare import prepare_scan, read_scan
from columna.semantic.phase_1 import segment_semantic

CONVENTION = "vertebra_disc_canal"
"""What the labels mean (``conventions.yaml``)."""
VERTEBRA, DISC, CANAL = 1, 2, 3
CORE_MM = 4.0
"""Cores lie at least this deep: less than half the height of most bodies."""
LEAST_CORE_MM3 = 100.0
LEANING = 0.2
"""How far arches and processes lie lower than their body, per mm behind the front of the canal.
Of 0 to 1, what served phantoms of all regions best."""
LEAST_DISC_MM3 = 232.0
"""Phase 2 has the same limit for its vertebrae: 250 reference voxels (docs/method.md)."""

Instances = NDArray[np.uint8]


def check_one_phase(model: SemanticModel) -> SemanticModel:
    """Refuse a network whose classes are others than vertebra, disc and canal.

    Raises
    ------
    ModelError
        If they are.
    """
    found = model.class_labels.tolist()
    if found != [0, VERTEBRA, DISC, CANAL]:
        raise ModelError(
            f"{model.folder.path}: its classes carry the labels {found}; a model of one phase is "
            "trained with semantic.classes: vertebra_disc_canal"
        )
    return model


def segment_one_phase(path: Path, model: SemanticModel, settings: PrepareSettings) -> Answer:
    """Segment a scan with a network of vertebra, disc and canal.

    Parameters
    ----------
    path
        The scan.
    model
        A network that was trained with ``semantic.classes: vertebra_disc_canal``.
    settings
        How scans are prepared.

    Returns
    -------
    Answer
        Masks in the convention `CONVENTION`; no vertebra has a name.

    Raises
    ------
    ScanRefused
        If the scan cannot be read, or the network finds nothing.
    """
    scan = read_scan(path, settings)
    start = time.monotonic()
    prepared = prepare_scan(scan, model.grid, settings)
    mask = segment_semantic(prepared, model, SemanticSettings()).mask
    instances = mask.with_array(separate(mask.array, mask.spacing_mm))
    image = scan.volume.reoriented()
    semantic, instance = (resample_mask_like(found, image) for found in (mask, instances))
    count = len(set(np.unique(instances.array)) & set(NAMELESS))
    seconds = time.monotonic() - start
    return Answer(image, semantic, instance, (None,) * count, seconds, convention=CONVENTION)


def separate(semantic: NDArray[np.uint8], spacing_mm: NDArray[np.float64]) -> Instances:
    """Tell vertebrae and discs apart.

    Parameters
    ----------
    semantic
        1 vertebra, 2 disc, 3 canal, along P, I, R.
    spacing_mm
        Voxel size along the same axes.

    Returns
    -------
    ndarray
        Vertebrae and discs from top to bottom as numbers without a name: 34, 35 ... and 134, ...
    """
    voxel_mm3 = float(np.prod(spacing_mm))
    bone, front = semantic == VERTEBRA, _front(semantic == CANAL)
    ahead = bone & (np.arange(bone.shape[0])[:, None, None] <= front[:, None])
    depth = ndimage.distance_transform_edt(np.pad(bone, 1), spacing_mm)[1:-1, 1:-1, 1:-1]
    cores = _components(ahead & (depth >= CORE_MM), LEAST_CORE_MM3 / voxel_mm3)
    vertebrae = watershed(-depth, cores, mask=ahead)
    _add_behind(vertebrae, bone & ~ahead, front, spacing_mm)
    discs = _components(semantic == DISC, LEAST_DISC_MM3 / voxel_mm3)
    instances = np.zeros(semantic.shape, np.uint8)
    for found, offset in ((vertebrae, 0), (discs, DISC_OFFSET)):
        for number, component in zip(NAMELESS, _from_top(found), strict=False):
            instances[found == component] = offset + number
    return instances


def _components(mask: NDArray[np.bool_], least_n: float) -> NDArray[np.integer[Any]]:
    """Components (6-connected) of at least so many voxels."""
    kept = cc3d.dust(mask, threshold=max(round(least_n), 1), connectivity=6)
    return cc3d.connected_components(kept, connectivity=6, out_dtype=np.uint16)


def _front(canal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First place of the canal along P at every height; without a canal, everything is in front."""
    rows = np.flatnonzero(canal.any(axis=(0, 2)))
    if not len(rows):
        return np.full(canal.shape[1], float(canal.shape[0]))
    first = canal[:, rows].any(axis=2).argmax(axis=0)
    return np.interp(np.arange(canal.shape[1]), rows, first)


def _add_behind(
    vertebrae: NDArray[np.int32],
    behind: NDArray[np.bool_],
    front: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
) -> None:
    """Give the bone `behind` to the bodies of its height, in place; it leans down backwards."""
    labels = _from_top(vertebrae)
    if not labels:
        return
    centres = _centres(vertebrae)
    heights = np.array([centres[label][1] for label in labels]) * spacing_mm[1]
    p, i, _ = np.nonzero(behind)
    height = i * spacing_mm[1] - LEANING * (p - front[i]) * spacing_mm[0]
    borders = (heights[1:] + heights[:-1]) / 2
    vertebrae[behind] = np.array(labels)[np.searchsorted(borders, height)]


def _from_top(found: NDArray[np.integer[Any]]) -> list[int]:
    centres = _centres(found)
    return sorted(centres, key=lambda label: centres[label][1])


def _centres(found: NDArray[np.integer[Any]]) -> dict[int, tuple[float, ...]]:
    labels = [int(label) for label in np.unique(found) if label]
    centres = ndimage.center_of_mass(found > 0, found, labels)
    return dict(zip(labels, centres, strict=True))
