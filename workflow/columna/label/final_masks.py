"""Phase 3: both raw masks become the delivered masks in the grid of the input."""

from typing import Any

import numpy as np

from columna.anatomy import ENDPLATES, Semantic
from columna.config import LabelSettings
from columna.images.smooth_masks import smooth_mask_like
from columna.images.volume import (
    PIR,
    Box,
    Volume,
    bounding_box,
    resample_mask_like,
    smallest_unsigned,
)
from columna.label.articular import settle_articular
from columna.label.c2 import merge_split_c2
from columna.label.components import INFERIOR, find_components
from columna.label.derived import LabelColumn, add_derived
from columna.label.given_anchor import Anchor
from columna.label.missing import assign_missing
from columna.label.naming import Namer, Naming, namer_of
from columna.label.order import order_instances
from columna.label.result import LabelResult
from columna.label.seen_spine import SeenSpine
from columna.label.spinous import move_posterior_elements

CROP_MARGIN_MM = 1.5
RESAMPLERS = {"smooth": smooth_mask_like, "nearest": resample_mask_like}
SPACES = (Semantic.DISC, *ENDPLATES)


def label_masks(
    grid: Volume,
    semantic_raw: Volume,
    instance_raw: Volume,
    settings: LabelSettings,
    namer: Namer | None = None,
    anchor: Anchor | None = None,
) -> LabelResult:
    """Clean, name and complete both masks (docs/method.md#phase-3-final-masks).

    Everything happens in (P, I, R) inside the bounding box of the mask, so the result depends
    neither on how the input is stored nor on how the raw instances are numbered.

    Parameters
    ----------
    grid
        The input scan; only shape and affine are used, unless `namer` looks at its voxels.
    semantic_raw, instance_raw
        Answers of phases 1 and 2 in the grids of their models.
    settings
        How levels are named.
    namer
        A labeller of one's own, for example a learned one, in place of that of `settings`.
    anchor
        What the cohort sheet says of the levels.

    Raises
    ------
    ScanRefused
        ``bad_anchor``, if the vertebrae found cannot be named as the sheet says.
    """
    upright = grid.reoriented(PIR)
    resample = RESAMPLERS[settings.borders]
    semantic, instance = (resample(raw, upright).array for raw in (semantic_raw, instance_raw))
    box, semantic, instance = _working_masks(upright, semantic, instance)
    if box is None:
        return _nothing(grid)
    instance = order_instances(instance)
    spaces = find_components(np.where(np.isin(semantic, SPACES), semantic, 0))
    instance = settle_articular(semantic, instance)
    semantic, instance = assign_missing(semantic, instance)
    voxel_mm3 = grid.voxel_volume_mm3
    instance = merge_split_c2(semantic, instance, spaces, voxel_mm3)
    instance = order_instances(move_posterior_elements(semantic, instance))
    spine = SeenSpine(semantic, instance, spaces, upright, box)
    naming = (namer or namer_of(settings, anchor))(spine)
    column = _column(spine, naming)
    instance = _relabelled(instance, naming)
    add_derived(semantic, instance, spaces, column)
    return LabelResult(
        _placed(semantic, box, upright, grid),
        _placed(instance, box, upright, grid),
        level_entries(naming),
        naming.facts,
    )


def _working_masks(
    upright: Volume, semantic: np.ndarray, instance: np.ndarray
) -> tuple[Box | None, np.ndarray, np.ndarray]:
    """Cut both masks to the spine, with an empty frame of one voxel."""
    box = bounding_box(semantic, round(CROP_MARGIN_MM / upright.spacing_mm.min()))
    if box is None:
        return None, semantic, semantic
    semantic, instance = (np.pad(np.ascontiguousarray(m[box]), 1) for m in (semantic, instance))
    semantic[semantic == Semantic.VERTEBRAL_BODY_INNER] = Semantic.VERTEBRAL_BODY
    instance[semantic == 0] = 0
    return box, semantic, instance


def _column(spine: SeenSpine, naming: Naming) -> LabelColumn | None:
    vertebrae = [
        (named.label, float(spine.centres[named.instance, INFERIOR]))
        for named in naming.instances
        if not named.is_piece and spine.levels
    ]
    rows = (spine.semantic == Semantic.SACRUM).sum(axis=(0, 2))
    sacrum = float(np.average(np.arange(len(rows)), weights=rows)) if rows.any() else None
    return LabelColumn.of(vertebrae, sacrum)


def _relabelled(instance: np.ndarray, naming: Naming) -> np.ndarray:
    labels = np.zeros(int(instance.max(initial=0)) + 1, np.uint16)
    for named in naming.instances:
        labels[named.instance] = named.label
    return labels[instance]


def _placed(array: np.ndarray, box: Box, upright: Volume, grid: Volume) -> Volume:
    """Undo frame, crop and reorientation."""
    array = smallest_unsigned(array)
    whole = np.zeros(upright.shape, array.dtype)
    whole[box] = array[1:-1, 1:-1, 1:-1]
    restored = Volume(whole, upright.affine).reoriented(grid.orientation)
    return Volume(restored.array, grid.affine)


def level_entries(naming: Naming) -> list[dict[str, Any]]:
    """Names as `LabelResult.levels` holds them."""
    return [
        {
            "label": named.label,
            "level": named.level,
            "level_anchor": named.anchor,
            "level_confidence": named.p,
            "posterior": dict(named.posterior),
            "index": index,
            "is_fragment": named.is_piece,
        }
        for index, named in enumerate(naming.instances, 1)
    ]


def _nothing(grid: Volume) -> LabelResult:
    """Answer for an empty semantic mask."""
    empty = grid.with_array(np.zeros(grid.shape, np.uint8))
    return LabelResult(empty, empty, [], {"status": "empty"})
