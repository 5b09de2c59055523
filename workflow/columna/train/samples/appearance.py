"""How bright tissues are: T2w priors for most samples, any contrast for the rest."""

from dataclasses import dataclass

import numpy as np

from columna.anatomy import DISC_OFFSET, Semantic, vertebra_labels
from columna.phantom import tissues as t

T2W: dict[int, tuple[float, float]] = {
    t.AIR: (0.0, 0.02),
    t.FAT: (0.35, 1.1),
    t.MUSCLE: (0.03, 0.16),
    t.ORGANS[0]: (0.05, 0.3),
    t.ORGANS[1]: (0.06, 0.4),
    t.ORGANS[2]: (0.03, 0.2),
    t.LIGAMENT: (0.01, 0.12),
    t.VESSEL: (0.01, 0.12),
    t.LUNG: (0.0, 0.06),
    t.LOOSE_FAT: (0.3, 1.0),
    t.BONE: (0.12, 0.45),
    t.BRAIN: (0.25, 0.6),
    t.EPIDURAL_FAT: (0.35, 1.1),
    t.BOWEL_WALL: (0.04, 0.2),
    t.FLUID: (0.6, 1.3),
    t.SKIN: (0.08, 0.5),
    t.CAUDA: (0.3, 0.85),
    t.HEART: (0.05, 0.3),
    t.VEIN: (0.2, 0.9),
    t.THYROID: (0.15, 0.45),
    t.CEREBELLUM: (0.2, 0.5),
    t.CSF: (0.6, 1.1),
    t.MARROW: (0.12, 0.5),
    t.NERVE: (0.08, 0.3),
    t.BASIVERTEBRAL: (0.05, 0.8),
    t.LESIONS[0]: (0.35, 0.9),
    t.LESIONS[1]: (0.3, 1.0),
    t.LESIONS[2]: (0.03, 0.15),
    t.CLEFT: (0.04, 0.3),
    t.REMNANT_DISC: (0.04, 0.5),
    t.SACRAL_CORTEX: (0.01, 0.15),
    t.GLAND: (0.3, 0.9),
    t.FASCIA: (0.02, 0.2),
    t.SAC_RIM: (0.5, 1.1),
    t.CARTILAGE: (0.05, 0.3),
    t.BODY_CORTEX: (0.02, 0.25),
    t.ARCH_CORTEX: (0.01, 0.15),
    Semantic.SPINAL_CORD: (0.25, 0.65),
    Semantic.SPINAL_CANAL: (0.85, 1.1),
    Semantic.ENDPLATE: (0.02, 0.16),
}
"""Range of the brightness of every tissue relative to cerebrospinal fluid, in T2w spin echoes."""
BONES = (
    *range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY + 1),
    Semantic.SACRUM,
    t.BONE,
    t.MARROW,
)
FATS = (t.FAT, t.LOOSE_FAT, t.EPIDURAL_FAT)
MARROW_RANGE = (0.12, 0.6)
FAT_SUPPRESSED_SHARE, ARBITRARY_SHARE = 0.08, 0.2
UNLABELLED = tuple(sorted({c for c in T2W if c < 26 or c in (32, 33, 35)} - {t.CAUDA, 24, 25}))
"""Tissues that no label holds."""


@dataclass(frozen=True)
class Appearance:
    """Brightness and grain of every tissue code, and which of them are fat (shape (256,))."""

    mean: np.ndarray
    grain: np.ndarray
    fat: np.ndarray


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draw how a scan looks."""
    kind = rng.random()
    mean = _arbitrary(rng) if kind < ARBITRARY_SHARE else _t2w(rng)
    if ARBITRARY_SHARE <= kind < ARBITRARY_SHARE + FAT_SUPPRESSED_SHARE:
        for code in (*FATS, *BONES):
            mean[code] *= rng.uniform(0.1, 0.4)
    _soften_cortex(mean, rng)
    grain = np.full(256, rng.uniform(0.02, 0.15), np.float32)
    grain[list(UNLABELLED)] *= np.exp(rng.normal(0.3, 0.5, len(UNLABELLED)))
    grain[[t.AIR, Semantic.SPINAL_CANAL]] *= 0.4
    fat = np.zeros(256, bool)
    fat[list(FATS)] = True
    return Appearance(mean, grain, fat)


def _t2w(rng: np.random.Generator) -> np.ndarray:
    mean = np.zeros(256, np.float32)
    for code, (low, high) in T2W.items():
        mean[code] = np.exp(rng.uniform(np.log(low + 0.005), np.log(high)))
    # fats are alike, though not that of the belly; marrow is a part fat, alike in one person
    fat = mean[t.FAT]
    for code, share in zip(FATS, (1.0, rng.uniform(0.4, 1.0), 1.0), strict=True):
        mean[code] = fat * share * np.exp(rng.normal(0, 0.15))
    marrow = min(np.exp(rng.uniform(*np.log(MARROW_RANGE))), 0.8 * fat)
    for code in BONES:
        mean[code] = marrow * np.exp(rng.normal(0, 0.1))
    _shade_discs(mean, rng, fluid=0.9, dark=rng.uniform(0.03, 0.2))
    for code in UNLABELLED:
        if rng.random() < 0.06:
            mean[code] = rng.uniform(0.01, 1.1)
    return mean


def _arbitrary(rng: np.random.Generator) -> np.ndarray:
    mean = rng.uniform(0.02, 1.0, 256).astype(np.float32)
    bone = rng.uniform(0.06, 1.0)
    for code in BONES:
        mean[code] = bone * np.exp(rng.normal(0, 0.12))
    mean[t.AIR] = rng.uniform(0, 0.05)
    _shade_discs(mean, rng, fluid=rng.uniform(0.1, 1), dark=rng.uniform(0.05, 1))
    return mean


def _shade_discs(mean: np.ndarray, rng: np.random.Generator, *, fluid: float, dark: float) -> None:
    """Every disc has its own degree of degeneration: nuclei from bright to black (in place)."""
    typical, spread = rng.uniform(0, 1), rng.uniform(0.05, 0.4)
    for label in vertebra_labels():
        health = float(np.clip(typical + rng.normal(0, spread), 0, 1))
        ring = dark * np.exp(rng.normal(0, 0.2))
        mean[DISC_OFFSET + label] = ring
        bright = ring + (fluid * 0.75 - ring) * health**1.7
        mean[DISC_OFFSET + label + t.NUCLEUS_OFFSET] = bright
    mean[Semantic.DISC] = dark


def _soften_cortex(mean: np.ndarray, rng: np.random.Generator) -> None:
    """From no visible cortex to a black one (in place)."""
    for cortex, bone in ((t.BODY_CORTEX, 49), (t.ARCH_CORTEX, 41), (t.SACRAL_CORTEX, 26)):
        weight = rng.random() ** 0.7
        mean[cortex] = mean[bone] + (mean[cortex] - mean[bone]) * weight
