"""Label maps to paint training samples from: tissues and labels of one body on one grid.

A map lies in two files: the codes of its voxels (a memory-mapped array, so that a patch costs no
more than its own voxels) and its palette, which says what a code stands for. Painting a map again
and again, deformed, is far cheaper than building one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from columna.files import atomic_path
from columna.phantom.generate import make_scene
from columna.phantom.patients import random_patient

SPACING_MM = (1.0, 1.0, 1.5)
"""Voxel size of the maps along P, I, R."""
PHANTOM_FOV_MM = (260.0, 700.0, 96.0)
POINTS = 400
"""Voxels of each label that a map remembers, to centre patches on."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A body on a grid along P, I, R.

    Parameters
    ----------
    codes
        uint16; row numbers of `palette`.
    palette
        Shape (n, 3), uint8: tissue (`columna.phantom.tissues`), semantic and instance label.
    points
        Shape (m, 4), int16: semantic label and voxel index of places to look at.
    spacing_mm
        Shape (3,).
    """

    codes: np.ndarray
    palette: np.ndarray
    points: np.ndarray
    spacing_mm: np.ndarray

    @cached_property
    def labels(self) -> np.ndarray:
        """Semantic labels that occur."""
        return np.unique(self.points[:, 0])


def phantom_map(seed: int) -> LabelMap:
    """Map of a random patient: the whole spine in its body."""
    settings = random_patient(seed, region="whole", spacing_mm=SPACING_MM, fov_mm=PHANTOM_FOV_MM)
    scene = make_scene(settings)
    return make_map(scene.tissues, scene.semantic, scene.instance, SPACING_MM, seed)


def make_map(
    tissues: np.ndarray,
    semantic: np.ndarray,
    instance: np.ndarray,
    spacing_mm: Iterable[float],
    seed: int,
) -> LabelMap:
    """Map of three arrays on one grid along P, I, R."""
    packed = (tissues.astype(np.uint32) << 16) | (semantic.astype(np.uint32) << 8) | instance
    present = np.zeros(1 << 24, bool)
    present[packed.ravel()] = True
    found = np.flatnonzero(present)
    number = np.zeros(1 << 24, np.uint16)
    number[found] = np.arange(len(found))
    palette = np.stack([found >> 16, (found >> 8) & 255, found & 255], axis=1).astype(np.uint8)
    points = _points(semantic, np.random.default_rng([seed, 6]))
    return LabelMap(number[packed], palette, points, np.array(tuple(spacing_mm), float))


def _points(semantic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random voxels of every label."""
    rows = []
    for label in np.flatnonzero(np.bincount(semantic.ravel())):
        if label:
            index = random_voxels(semantic, label, rng)
            rows.append(np.column_stack([np.full(len(index), label), index]))
    return np.concatenate(rows).astype(np.int16)


def random_voxels(labels: np.ndarray, label: int, rng: np.random.Generator) -> np.ndarray:
    """Indices, shape (n, 3), of up to `POINTS` voxels of a label."""
    flat = np.flatnonzero(labels == label)
    flat = rng.choice(flat, min(POINTS, len(flat)), replace=False)
    return np.array(np.unravel_index(flat, labels.shape)).T


def save_map(label_map: LabelMap, stem: Path) -> None:
    """Write ``<stem>.npz`` (palette, points, spacing) and then ``<stem>.npy`` (codes)."""
    with (
        atomic_path(stem.with_suffix(".npz")) as temporary,
        open(temporary, "wb") as stream,
    ):
        np.savez(
            stream,
            palette=label_map.palette,
            points=label_map.points,
            spacing_mm=label_map.spacing_mm,
        )
    with atomic_path(stem.with_suffix(".npy")) as temporary, open(temporary, "wb") as stream:
        np.save(stream, label_map.codes)


def open_map(stem: Path) -> LabelMap:
    """Open what `save_map` wrote; the codes stay on disk."""
    with np.load(stem.with_suffix(".npz")) as stored:
        palette, points, spacing = (stored[k] for k in ("palette", "points", "spacing_mm"))
    return LabelMap(np.load(stem.with_suffix(".npy"), mmap_mode="r"), palette, points, spacing)
