"""Random appearances for training: wide around T2w, and a share of arbitrary contrasts."""

import numpy as np

from columna.phantom import tissues
from columna.phantom.paint import Contrast, arbitrary_means, render, t2w_means

T2W_SHARE = 0.85
PERTURBED = (
    *tissues.ORGANS,
    tissues.FAT,
    tissues.MUSCLE,
    tissues.LOOSE_FAT,
    tissues.LUNG,
    tissues.VESSEL,
    tissues.LIGAMENT,
    tissues.BRAIN,
)
"""Unlabelled tissues whose brightness is sometimes drawn afresh."""


def paint_at_random(
    scene: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Paint tissue codes (PIR) with a random contrast; float32, the scale is arbitrary."""
    image = render(scene, spacing_mm, random_contrast(rng), rng)
    if rng.random() < 0.3:
        image = _saturated(image, rng)
    if rng.random() < 0.5:
        image = _surface_coil(image, rng)
    top = float(np.percentile(image[::3, ::3], 99.8)) + 1e-6
    return np.minimum(image / top, 1.5) ** np.float32(np.exp(rng.normal(0, 0.2)))


def random_contrast(rng: np.random.Generator) -> Contrast:
    """Draw a contrast."""
    if rng.random() < T2W_SHARE:
        mean = t2w_means(rng, spread=float(rng.uniform(0.05, 0.35)))
        for code in PERTURBED:
            if rng.random() < 0.2:
                mean[code] = rng.uniform(10, 900)
    else:
        mean = arbitrary_means(rng)
    cortex = rng.random()
    mean[tissues.BODY_CORTEX] = _between(mean[49], mean[tissues.BODY_CORTEX], cortex)
    mean[tissues.ARCH_CORTEX] = _between(mean[41], mean[tissues.ARCH_CORTEX], cortex)
    within = float(rng.uniform(0.0, 0.7))
    return Contrast(
        mean,
        texture=float(rng.uniform(0, 0.18)),
        bias=float(rng.uniform(0, 0.6)),
        noise=float(rng.uniform(0, 60)),
        blur=(within, within * float(rng.uniform(0.8, 1.3)), float(rng.uniform(0, 0.4))),
    )


def _between(a: float, b: float, weight: float) -> float:
    return a + (b - a) * weight


def _saturated(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Darken what lies in front of a plane, as a saturation slab does."""
    n = image.shape[0]
    edge, width = rng.uniform(0.05, 0.35) * n, rng.uniform(2, 8)
    fall = 1 / (1 + np.exp(-(np.arange(n) - edge) / width))
    fall = rng.uniform(0, 0.4) + (1 - rng.uniform(0, 0.4)) * fall
    return image * fall[:, None, None].astype(np.float32)


def _surface_coil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brighter towards the back."""
    n = image.shape[0]
    gain = np.exp(rng.uniform(0, 1.2) * (np.arange(n) / n - 0.5))
    return image * gain[:, None, None].astype(np.float32)
