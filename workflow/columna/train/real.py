"""Real scans as subjects: masks and image bent a little, brightness changed a little."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from columna.phantom.texture import smooth_noise
from columna.train.dataset import Case, image_path, instance_path, label_path
from columna.train.labels import LABEL_OF
from columna.train.subject import Subject, Triple
from columna.volume import Volume, load_image, load_volume

ZOOM_SD, SHEAR_SD, TURN_SD_DEG = 0.08, 0.03, 6.0
KEPT = 16
"""Cases that a process keeps in memory."""


class RealSource:
    """Draws subjects from the cases of a converted dataset (`columna.train.dataset`)."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._folder = folder
        self._cases = [case.case for case in cases]

    def __call__(self, rng: np.random.Generator, spacing_mm: Triple) -> Subject:
        """Draw a case, and bend it at random."""
        case = self._cases[int(rng.integers(len(self._cases)))]
        image, classes, instance = _load(self._folder, case)
        matrix, start, shape = _bend(image, np.asarray(spacing_mm), rng)

        def bent(array: np.ndarray, order: int) -> np.ndarray:
            return ndimage.affine_transform(array, matrix, start, shape, order=order)

        picture = bent(image.array, 1)
        return Subject(
            LABEL_OF[bent(classes, 0)], bent(instance, 0), lambda rng: _relit(picture, rng)
        )


@lru_cache(maxsize=KEPT)
def _load(folder: Path, case: str) -> tuple[Volume, np.ndarray, np.ndarray]:
    return (
        load_image(image_path(folder, case)),
        load_volume(label_path(folder, case)).array,
        load_volume(instance_path(folder, case)).array,
    )


def _bend(
    image: Volume, spacing_mm: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Lookup from a new grid into `image`, turned within the slices, zoomed and sheared."""
    zoom = np.exp(rng.normal(0, ZOOM_SD, 3))
    turn = np.deg2rad(rng.normal(0, TURN_SD_DEG))
    mm = np.diag(zoom)
    mm[:2, :2] = mm[:2, :2] @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    mm[:2, :2] += rng.normal(0, SHEAR_SD, (2, 2))
    matrix = np.diag(1 / image.spacing_mm) @ mm @ np.diag(spacing_mm)
    shape = np.maximum(np.round(np.array(image.shape) * image.spacing_mm / spacing_mm), 1)
    middle = (np.array(image.shape) - 1) / 2
    return matrix, middle - matrix @ ((shape - 1) / 2), tuple(int(n) for n in shape)


def _relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another gain across the image, gamma, noise."""
    top = float(np.percentile(image, 99.5)) + 1e-6
    lit = np.clip(image / top, 0, 2) ** np.float32(np.exp(rng.normal(0, 0.25)))
    gain = smooth_noise(image.shape, (1, 1, 3), rng.uniform(30, 60), rng)
    lit = lit * np.exp(np.float32(rng.uniform(0, 0.3)) * gain)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return (lit + np.float32(rng.uniform(0, 0.06)) * noise).astype(np.float32)
