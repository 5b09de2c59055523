"""Real scans of a converted dataset, and the draw among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from columna.images.volume import load_image, load_volume
from columna.train.samples.dataset import Case, image_path, instance_path, label_path
from columna.train.samples.maps import random_voxels

KEPT = 40
"""Scans that a process keeps in memory, at half precision: 16 MB each at 0.5 x 0.5 x 1 mm."""


@dataclass(frozen=True, eq=False)
class RealScan:
    """A prepared scan with what is known of its voxels, axes (P, I, R).

    Parameters
    ----------
    image
        float16; cerebrospinal fluid and fat are about 1.
    codes
        uint8 codes (`columna.train.samples.label_sets`).
    instance
        uint8 vertebrae; None for datasets of some structures only.
    points
        Code -> voxel indices, int16 (n, 3), of places to look at.
    spacing_mm
        Shape (3,).
    """

    image: np.ndarray
    codes: np.ndarray
    instance: np.ndarray | None
    points: dict[int, np.ndarray]
    spacing_mm: np.ndarray


class Scans:
    """Draws scans from the cases of a converted dataset (`columna.train.samples.dataset`)."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._folder = folder
        self._cases = [case.case for case in cases]

    def draw(self, rng: np.random.Generator) -> RealScan:
        """Draw a scan."""
        return load_scan(self._folder, self._cases[int(rng.integers(len(self._cases)))])


@lru_cache(maxsize=KEPT)
def load_scan(folder: Path, case: str) -> RealScan:
    """Read a case; processes keep what they have read."""
    image = load_image(image_path(folder, case))
    codes = load_volume(label_path(folder, case)).array
    instances = instance_path(folder, case)
    instance = load_volume(instances).array if instances.exists() else None
    top = float(np.percentile(image.array, 99.5)) + 1e-6
    lit = np.clip(image.array / top, 0, 2).astype(np.float16)
    return RealScan(lit, codes, instance, _points(codes), np.asarray(image.spacing_mm))


def _points(codes: np.ndarray) -> dict[int, np.ndarray]:
    """Random voxels of every code."""
    rng = np.random.default_rng(0)
    present = np.flatnonzero(np.bincount(codes.ravel()))
    return {int(code): random_voxels(codes, code, rng).astype(np.int16) for code in present}
