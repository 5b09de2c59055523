"""Centres of structures as a POI file that TPTBox reads (docs/method.md#points)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import columna
from columna.anatomy import CANAL, DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic
from columna.images.volume import PIR, Volume, bounding_box
from columna.label.components import INFERIOR, centres_of
from columna.label.derived import level_above
from columna.label.result import LabelResult

BODY_CENTRE = 50
"""TPTBox's number of the centre of the vertebral body."""
SLAB_MM = 2.0
"""Canal and cord are averaged this far above and below the centre of a body."""
REACH_MM = 60.0
"""Canal farther from the body than this belongs to another bend of the spine."""

LabelledPoint = tuple[int, int, np.ndarray]
"""Level, subregion, voxel."""


def poi_json(result: LabelResult) -> list[dict[str, Any]]:
    """Collect centres of bodies, discs, endplates, canal and cord in voxels of the input grid.

    Parameters
    ----------
    result
        Final masks and levels.

    Returns
    -------
    list of dict
        Header and points, ``{level: {subregion: [a, b, c]}}``, for JSON. Per vertebra X:
        50 body, 52 and 53 superior and inferior endplate, 60 cord and 61 canal (with cord) at
        mid-body, 100 disc below; for the sacrum (26): 50 centre, 52 superior endplate.
    """
    grid = result.instance
    points: dict[str, dict[str, list[float]]] = {}
    for level, subregion, voxel in sorted(_points(result), key=lambda p: p[:2]):
        found = [round(float(x), 4) for x in voxel]
        points.setdefault(str(level), {})[str(subregion)] = found
    return [_header(grid), points]


def _header(grid: Volume) -> dict[str, Any]:
    return {
        "direction": list(grid.orientation),
        "zoom": grid.spacing_mm.tolist(),
        "origin": grid.affine[:3, 3].tolist(),
        "rotation": (grid.affine[:3, :3] / grid.spacing_mm).tolist(),
        "shape": list(grid.shape),
        "format": "POI",
        "level_one_info": "Any",
        "level_two_info": "Any",
        "source": "columna",
        "version": columna.__version__,
    }


def _points(result: LabelResult) -> Iterator[LabelledPoint]:
    """All points in voxels of the input grid."""
    upright = result.instance.reoriented(PIR)
    box = bounding_box(upright.array)
    if box is None:
        return
    instance = upright.cropped(box)
    semantic = result.semantic.reoriented(PIR).array[box]
    to_grid = np.linalg.inv(result.instance.affine) @ instance.affine
    levels = [e["label"] for e in result.levels if not e.get("is_fragment")]
    found = [
        *_structures(semantic, instance.array, levels),
        *_canal(semantic, instance, levels),
    ]
    for level, subregion, voxel in found:
        yield level, subregion, to_grid[:3, :3] @ voxel + to_grid[:3, 3]


def _structures(
    semantic: np.ndarray, instance: np.ndarray, levels: list[int]
) -> Iterator[LabelledPoint]:
    """Centres of bodies, discs and endplates, in voxels of `instance`."""
    count = int(instance.max())
    whole = _centres(instance, count)
    body = _centres(np.where(semantic == Semantic.VERTEBRAL_BODY, instance, 0), count)
    upper = _centres(np.where(semantic == Semantic.ENDPLATE_SUPERIOR, instance, 0), count)
    lower = _centres(np.where(semantic == Semantic.ENDPLATE_INFERIOR, instance, 0), count)
    above = level_above(levels[0]) if levels else None
    for level in [*levels, SACRUM]:
        candidates = [
            (BODY_CENTRE, whole.get(level) if level == SACRUM else body.get(level)),
            (Semantic.ENDPLATE_SUPERIOR, upper.get(level, upper.get(_space(above)))),
            (Semantic.ENDPLATE_INFERIOR, lower.get(level, lower.get(_space(level)))),
            (Semantic.DISC, whole.get(DISC_OFFSET + level)),
        ]
        yield from ((level, int(sub), voxel) for sub, voxel in candidates if voxel is not None)
        above = level


def _space(level: int | None) -> int:
    """Label of the endplates of the disc space below `level`."""
    return ENDPLATE_OFFSET + (level or 0)


def _centres(labels: np.ndarray, count: int) -> dict[int, np.ndarray]:
    voxels, centres = centres_of(np.ascontiguousarray(labels), count)
    return {int(label): centres[label] for label in np.flatnonzero(voxels)}


def _canal(semantic: np.ndarray, instance: Volume, levels: list[int]) -> Iterator[LabelledPoint]:
    """Centres of canal and cord in a slab across the spine at mid-body."""
    spacing = instance.spacing_mm
    voxels = np.argwhere(np.isin(semantic, CANAL))
    is_cord = semantic[tuple(voxels.T)] == Semantic.SPINAL_CORD
    bodies = _centres(
        np.where(semantic == Semantic.VERTEBRAL_BODY, instance.array, 0), int(instance.array.max())
    )
    known = [level for level in levels if level in bodies]
    half = max(SLAB_MM, spacing[INFERIOR] / 2)
    for place, level in enumerate(known):
        ends = bodies[known[max(place - 1, 0)]], bodies[known[min(place + 1, len(known) - 1)]]
        along = (ends[1] - ends[0]) * spacing if len(known) > 1 else np.eye(3)[INFERIOR]
        away = (voxels - bodies[level]) * spacing
        in_slab = np.abs(away @ (along / np.linalg.norm(along))) <= half
        in_slab &= np.linalg.norm(away, axis=1) <= REACH_MM
        if in_slab.any():
            yield level, int(Semantic.SPINAL_CANAL), voxels[in_slab].mean(axis=0)
        if (in_slab & is_cord).any():
            yield level, int(Semantic.SPINAL_CORD), voxels[in_slab & is_cord].mean(axis=0)
