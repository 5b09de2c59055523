"""Endless random scenes to paint: new phantoms, and phantoms seen before."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from columna.phantom.generate import Scene, make_scene
from columna.phantom.settings import random_settings
from columna.volume import Volume

POOL = 40
"""Scenes that are kept for further paintings, since painting is cheaper than building."""


def scenes(rng: np.random.Generator, spacing_mm: tuple[float, float, float]) -> Iterator[Scene]:
    """Random scenes in PIR; about every second one is new."""
    pool: list[Scene] = []
    while True:
        if len(pool) < 4 or rng.random() < 0.5:
            scene = make_scene(_random_scan(rng, spacing_mm))
            if (scene.semantic != 0).mean() < 0.005:
                continue
            pool = [*pool[-POOL + 1 :], scene]
            yield scene
        else:
            yield pool[int(rng.integers(len(pool)))]


def _random_scan(rng: np.random.Generator, spacing_mm: tuple[float, float, float]) -> Any:
    """Settings of a patient in a scanner whose voxel size is only about `spacing_mm`."""
    seed = int(rng.integers(1, 2**31))
    base = random_settings(seed)
    fov = (rng.uniform(130, 260), rng.uniform(150, 330), rng.uniform(42, 75))
    low = 60.0 if base.region in ("lumbar", "whole") and rng.random() < 0.5 else 0.0
    jitter = np.exp(rng.normal(0, 0.06, 3))
    update = {
        "spacing_mm": tuple(float(s * j) for s, j in zip(spacing_mm, jitter, strict=True)),
        "fov_mm": None if rng.random() < 0.3 else tuple(float(v) for v in fov),
        # half of the lumbar views reach down, since the sacrum is at their end
        "fov_shift_mm": tuple(float(v) for v in rng.normal((0, low, 0), (20, 35, 5))),
    }
    return base.model_copy(update=update)


def as_volume(scene: Scene, array: np.ndarray) -> Volume:
    """`array` of `scene` with its affine."""
    return Volume(array, scene.grid.affine)
