"""From tissues to intensities: contrasts, texture, inhomogeneity, blur, noise."""

from dataclasses import dataclass, field

import numpy as np

from columna.anatomy import DISC_OFFSET, Semantic, vertebra_labels
from columna.phantom import tissues
from columna.phantom.texture import blurred, gradient_field, smooth_noise

T2W: dict[int, float] = {
    tissues.AIR: 8,
    tissues.FAT: 760,
    tissues.MUSCLE: 150,
    tissues.ORGANS[0]: 260,
    tissues.ORGANS[1]: 400,
    tissues.ORGANS[2]: 170,
    tissues.LIGAMENT: 70,
    tissues.VESSEL: 50,
    tissues.LUNG: 30,
    tissues.LOOSE_FAT: 600,
    tissues.BONE: 330,
    tissues.BRAIN: 430,
    tissues.CAUDA: 620,
    tissues.BODY_CORTEX: 150,
    tissues.ARCH_CORTEX: 140,
    Semantic.SACRUM: 340,
    Semantic.ARCUS: 300,
    Semantic.SPINOUS_PROCESS: 340,
    Semantic.COSTAL_PROCESS_LEFT: 280,
    Semantic.COSTAL_PROCESS_RIGHT: 280,
    Semantic.SUPERIOR_ARTICULAR_LEFT: 250,
    Semantic.SUPERIOR_ARTICULAR_RIGHT: 250,
    Semantic.INFERIOR_ARTICULAR_LEFT: 250,
    Semantic.INFERIOR_ARTICULAR_RIGHT: 250,
    Semantic.VERTEBRAL_BODY: 340,
    Semantic.SPINAL_CORD: 430,
    Semantic.SPINAL_CANAL: 920,
    Semantic.ENDPLATE: 110,
    Semantic.DISC: 180,
}
"""Typical intensities of a T2-weighted spin echo, CSF about 900."""

BONES = (
    *range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY + 1),
    Semantic.SACRUM,
    tissues.BONE,
)


@dataclass(frozen=True)
class Contrast:
    """How tissues look.

    Parameters
    ----------
    mean
        Shape (256,), intensity of every scene code.
    texture
        Relative SD of the tissue texture.
    bias
        Strength of the inhomogeneity (natural logarithm, at its extremes).
    noise
        SD of the noise, in intensity units.
    blur
        Gaussian blur in voxels along each axis.
    """

    mean: np.ndarray
    texture: float = 0.06
    bias: float = 0.3
    noise: float = 25.0
    blur: tuple[float, float, float] = field(default=(0.4, 0.4, 0.0))


def t2w_means(rng: np.random.Generator, spread: float) -> np.ndarray:
    """Intensities of a T2w scan; every tissue varies by the log-SD `spread`, bones together."""
    mean = np.zeros(256, np.float32)
    for code, value in T2W.items():
        mean[code] = value * np.exp(rng.normal(0, spread))
    shared = np.exp(rng.normal(0, spread))
    for code in BONES:
        mean[code] = T2W[code] * shared * np.exp(rng.normal(0, 0.4 * spread))
    _shade_discs(mean, rng)
    return mean


def _shade_discs(mean: np.ndarray, rng: np.random.Generator) -> None:
    """Every disc has its own degree of degeneration: nuclei from bright to black (in place)."""
    base, typical = mean[Semantic.DISC], rng.uniform(0, 1)
    for label in vertebra_labels():
        health = np.clip(typical + rng.normal(0, 0.3), 0, 1)
        mean[DISC_OFFSET + label] = base * np.exp(rng.normal(0, 0.15))
        nucleus = DISC_OFFSET + label + tissues.NUCLEUS_OFFSET
        mean[nucleus] = base * (0.8 + 2.4 * health)


def render(
    scene: np.ndarray, spacing_mm: np.ndarray, contrast: Contrast, rng: np.random.Generator
) -> np.ndarray:
    """Paint a scene.

    Parameters
    ----------
    scene
        uint8 tissue codes.
    spacing_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        float32 image, not negative.
    """
    image = contrast.mean[scene]
    if contrast.texture:
        grain = smooth_noise(scene.shape, spacing_mm, rng.uniform(2.5, 12), rng)
        grain += rng.standard_normal(scene.shape, dtype=np.float32)
        image *= 1 + np.float32(contrast.texture / np.sqrt(2)) * grain
    image = blurred(image, contrast.blur)
    if contrast.bias:
        image *= np.exp(np.float32(contrast.bias) * gradient_field(scene.shape, rng))
    if contrast.noise:
        real = rng.standard_normal(scene.shape, dtype=np.float32) * np.float32(contrast.noise)
        imaginary = rng.standard_normal(scene.shape, dtype=np.float32) * np.float32(contrast.noise)
        image = np.hypot(image + real, imaginary)
    return np.maximum(image, 0)
