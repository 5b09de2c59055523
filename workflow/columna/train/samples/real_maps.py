"""Label maps from masks of real scans, completed by synthetic tissues."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic
from columna.images.volume import Volume, bounding_box, load_volume
from columna.phantom.around.profile import Profile, rank
from columna.phantom.around.whole_body import paint_body
from columna.phantom.spine.bones import PhantomCanvas
from columna.phantom.texture import smooth_noise
from columna.phantom.tissues import (
    ARCH_CORTEX,
    BODY_CORTEX,
    CAUDA,
    CLEFT,
    EMPTY,
    LESIONS,
    NUCLEUS_OFFSET,
)
from columna.phantom.voxels import VoxelGrid
from columna.train.samples import maps
from columna.train.samples.completion import complete


class RealMasks(NamedTuple):
    """Masks of a real scan.

    Parameters
    ----------
    semantic, instance
        Files below the folder of real data (`columna.real_data`).
    shift
        What is to be added to the instance labels, so that the levels are about right.
    """

    semantic: str
    instance: str
    shift: int


REAL_MAPS: dict[str, RealMasks] = {
    "panoptica-ref": RealMasks(
        "panoptica_lumbar/semantic_ref.nii.gz", "panoptica_lumbar/instance_ref.nii.gz", 16
    ),
    "panoptica-pred": RealMasks(
        "panoptica_lumbar/semantic_pred.nii.gz", "panoptica_lumbar/instance_pred.nii.gz", 16
    ),
    "tptbox-mri": RealMasks(
        "tptbox_mri/sub-mri_seg-subreg_label-6_msk.nii.gz",
        "tptbox_mri/sub-mri_seg-vert_label-6_msk.nii.gz",
        16,
    ),
    "tptbox-ct": RealMasks(
        "tptbox_ct/sub-ct_seg-subreg_label-22_msk.nii.gz",
        "tptbox_ct/sub-ct_seg-vert_label-22_msk.nii.gz",
        0,
    ),
}
"""Name -> masks."""
AHEAD_MM, BEHIND_MM = 170.0, 90.0
"""Room for the body in front of and behind the labelled part."""
_CANAL = (Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)


def available(data: Path | None) -> list[str]:
    """Names of the real cases that the folder `data` holds; none without a folder."""
    if data is None:
        return []
    return [
        name
        for name, masks in REAL_MAPS.items()
        if (data / masks.semantic).is_file() and (data / masks.instance).is_file()
    ]


def real_map(name: str, version: int, data: Path) -> "maps.LabelMap":
    """Map of one real case of the folder `data`; every version has other surroundings."""
    rng = np.random.default_rng([version, 9])
    semantic, instance, affine = _on_map_grid(*read_masks(name, data))
    canvas = PhantomCanvas(
        VoxelGrid(semantic.shape, affine), semantic, instance, _tissues(semantic, instance, rng)
    )
    paint_body(canvas, _profile(semantic, instance, canvas.grid), rng)
    return maps.make_map(canvas.scene, semantic, instance, maps.SPACING_MM, version)


def read_masks(name: str, data: Path) -> tuple[Volume, Volume]:
    """Semantic and instance mask along P, I, R, uint8, with labels that agree with each other."""
    files = REAL_MAPS[name]
    semantic, instance = (
        load_volume(data / file).reoriented() for file in (files.semantic, files.instance)
    )
    labels = semantic.array.astype(np.uint8)
    counts = np.bincount(labels.ravel(), minlength=101)
    if name.startswith("panoptica") and counts[60] > counts[61]:
        labels = _swapped(labels, 60, 61)
    labels[labels == Semantic.VERTEBRAL_BODY_INNER] = Semantic.VERTEBRAL_BODY
    ids = instance.array.astype(np.int16)
    ids = np.where((ids > 0) & (ids != SACRUM), ids + files.shift, ids)
    ids[labels == Semantic.SACRUM] = SACRUM
    ids = ids.astype(np.uint8)
    if not np.isin(labels, _CANAL).any():
        complete(labels, ids)
    return semantic.with_array(labels), instance.with_array(ids)


def _swapped(labels: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.where(labels == a, b, np.where(labels == b, a, labels)).astype(np.uint8)


def _on_map_grid(semantic: Volume, instance: Volume) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both masks in the voxel size of maps, with room for a body; and the affine."""
    box = bounding_box(semantic.array)
    if box is None:
        raise ValueError("the mask is empty")
    # the scan ends where its labels end: what lies beyond, along I and R, is not known
    masks = [v.cropped(box) for v in (semantic, instance)]
    target, spacing = np.array(maps.SPACING_MM), semantic.spacing_mm
    shape = np.round(np.array(masks[0].shape) * spacing / target).astype(int)
    resampled = [_smoothly(v.array, shape, target / spacing) for v in masks]
    ahead, behind = (round(v / target[0]) for v in (AHEAD_MM, BEHIND_MM))
    room = ((ahead - shape[0] // 3, behind), (0, 0), (0, 0))
    padded = [np.pad(a, room) for a in resampled]
    affine = np.zeros((4, 4))
    affine[[1, 2, 0, 3], [0, 1, 2, 3]] = (-target[0], -target[1], target[2], 1)
    return padded[0], padded[1], affine


def _smoothly(mask: np.ndarray, shape: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Resample a mask label by label, linearly, so that thick slices leave no stairs."""
    best, result = np.full(shape, 0.35, np.float32), np.zeros(shape, np.uint8)
    for label in np.flatnonzero(np.bincount(mask.ravel()))[1:]:
        part = (mask == label).astype(np.float32)
        share = ndimage.affine_transform(
            part, ratio, ratio / 2 - 0.5, output_shape=tuple(shape), order=1, mode="nearest"
        )
        better = share > best
        result[better], best[better] = label, share[better]
    return result


def _tissues(semantic: np.ndarray, instance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tissues of the labelled voxels: cortex, nuclei, nerve roots, patches in bodies."""
    scene = np.where(semantic > 0, semantic, EMPTY).astype(np.uint8)
    cross = ndimage.generate_binary_structure(3, 1)
    cross[1, 1, ::2] = False
    body = semantic == Semantic.VERTEBRAL_BODY
    arch = (semantic >= Semantic.ARCUS) & (semantic < Semantic.VERTEBRAL_BODY)
    scene[body & ~ndimage.binary_erosion(body, cross)] = BODY_CORTEX
    scene[arch & ~ndimage.binary_erosion(arch, cross)] = ARCH_CORTEX
    if rng.random() < 0.6:
        patches = smooth_noise(semantic.shape, maps.SPACING_MM, rng.uniform(8, 20), rng)
        scene[(scene == Semantic.VERTEBRAL_BODY) & (patches > rng.uniform(1.2, 2.2))] = rng.choice(
            LESIONS
        )
    for disc in np.flatnonzero(np.bincount(instance.ravel(), minlength=256)):
        if DISC_OFFSET < disc < ENDPLATE_OFFSET:
            _shade_disc(scene, semantic, instance, int(disc))
    canal = semantic == Semantic.SPINAL_CANAL
    roots = smooth_noise(semantic.shape, (1.0, 0.25, 1.5), 4.0, rng)
    below = ~(semantic == Semantic.SPINAL_CORD).any(axis=(0, 2), keepdims=True)
    scene[canal & (roots > rng.uniform(0.2, 1.0)) & below] = CAUDA
    return scene


def _shade_disc(scene: np.ndarray, semantic: np.ndarray, instance: np.ndarray, disc: int) -> None:
    """Give a disc its own codes: ring, nucleus, cleft (in place)."""
    where = (instance == disc) & (semantic == Semantic.DISC)
    box = bounding_box(where, 1)
    if box is None:
        return
    inside = where[box]
    depth = ndimage.distance_transform_edt(inside, maps.SPACING_MM)
    part = scene[box]
    part[inside] = disc
    part[depth > 0.4 * depth.max()] = disc + NUCLEUS_OFFSET
    part[depth > 0.9 * depth.max()] = CLEFT


def _profile(semantic: np.ndarray, instance: np.ndarray, grid: VoxelGrid) -> Profile:
    """Curves of a labelled spine, row by row."""
    rows = np.arange(grid.shape[1])
    canal = np.isin(semantic, _CANAL)
    column = np.isin(semantic, (Semantic.VERTEBRAL_BODY, Semantic.DISC, Semantic.SACRUM))
    step, _, slice_mm = maps.SPACING_MM
    p, r = np.arange(grid.shape[0]), np.arange(grid.shape[2])
    mid_p, mid_r = _mean_index(canal, p, 0), _mean_index(canal, r, 2)
    depth = canal.any(axis=2).sum(axis=0)
    first = np.where(column.any(axis=(0, 2)), column.any(axis=2).argmax(axis=0), np.nan)
    wide = column.any(axis=0).sum(axis=1).astype(float)
    spinous = (semantic == Semantic.SPINOUS_PROCESS).any(axis=2)
    last = np.where(spinous.any(axis=0), grid.shape[0] - 1 - spinous[::-1].argmax(axis=0), np.nan)
    curves = {
        "right": mid_r * slice_mm,
        "anterior": -mid_p * step,
        "smooth": -mid_p * step,
        "front": (mid_p - first) * step,
        "half_width": np.where(wide > 0, wide, np.nan) * slice_mm / 2,
        "canal": np.where(depth > 0, depth, np.nan) * step / 2,
        "tip": (last - mid_p) * step,
        "level": _levels(semantic, instance, rows),
    }
    sigma = {"smooth": 50, "tip": 15, "front": 6, "half_width": 10}
    smooth = {
        name: ndimage.gaussian_filter1d(_filled(values), sigma.get(name, 3), mode="nearest")
        for name, values in curves.items()
    }
    order = slice(None, None, -1)
    superior = -rows * maps.SPACING_MM[1]
    return Profile(superior[order], {name: curve[order] for name, curve in smooth.items()})


def _mean_index(mask: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """Mean position of a mask along `axis` in every row; NaN where there is none."""
    counts = mask.sum(axis=2 if axis == 0 else 0)
    weights = (counts * index[:, None]).sum(axis=0) if axis == 0 else (counts * index).sum(axis=1)
    total = mask.sum(axis=(0, 2))
    return np.where(total > 0, weights / np.maximum(total, 1), np.nan)


def _levels(semantic: np.ndarray, instance: np.ndarray, rows: np.ndarray) -> np.ndarray:
    places, ranks = [], []
    for label in np.unique(instance[semantic == Semantic.VERTEBRAL_BODY]):
        if 0 < label < DISC_OFFSET:
            where = (instance == label) & (semantic == Semantic.VERTEBRAL_BODY)
            places.append(float(np.average(rows, weights=where.sum(axis=(0, 2)))))
            ranks.append(rank(int(label)))
    order = np.argsort(places)
    ordered = np.array(places)[order]
    level = np.interp(rows, ordered, np.array(ranks)[order])
    return level + np.where(rows > ordered[-1], (rows - ordered[-1]) / 35, 0)


def _filled(values: np.ndarray) -> np.ndarray:
    """`values` with gaps interpolated, ends continued."""
    known = np.isfinite(values)
    index = np.arange(len(values))
    return np.interp(index, index[known], values[known])
