"""Neck and head: airway, glands, vessels, tongue, skull base, brain stem, cerebellum."""

import numpy as np

from columna.phantom.around.site import Site
from columna.phantom.tissues import (
    AIR,
    ARCH_CORTEX,
    BRAIN,
    CARTILAGE,
    CEREBELLUM,
    CSF,
    FAT,
    GLAND,
    LIGAMENT,
    LOOSE_FAT,
    MARROW,
    MUSCLE,
    SKIN,
    THYROID,
    VEIN,
    VESSEL,
)


def paint_neck(site: Site) -> None:
    """Paint the front of the neck (C2 to T1)."""
    rng, u, v = site.rng, site.u, site.v
    level = site.level + np.float32(0.4) * site.noise(20)
    neck = (level < 5.3) & (u > 0)
    layers = site.noise(rng.uniform(7, 14), (1, 2.5, 1))
    site.fill(neck, np.where(layers > 0.5, LOOSE_FAT, MUSCLE).astype(np.uint8))
    site.fill(neck & (layers < -1.0), GLAND)
    before = u - site.front
    site.fill(neck & (before < rng.uniform(3, 6)) & (np.abs(v) < 15), MUSCLE)
    mucosa = neck & (before > 3) & (before < rng.uniform(7, 10)) & (np.abs(v) < 14)
    site.fill(mucosa, GLAND if rng.random() < 0.6 else MUSCLE)
    airway = neck & (before > 8) & (before < rng.uniform(17, 26)) & (np.abs(v) < rng.uniform(7, 12))
    site.fill(airway, AIR)
    larynx = airway & (np.abs(level - rng.uniform(2, 4)) < 0.9) & (site.noise(8) > -0.3)
    site.fill(larynx, CARTILAGE)
    tongue = neck & (level < rng.uniform(0.6, 1.6)) & (before > 24)
    site.fill(tongue, MUSCLE)
    site.fill(tongue & (site.noise(9) > 0.7), LOOSE_FAT)
    jaw = tongue & (before > 58) & (before < 70)
    site.fill(jaw, ARCH_CORTEX)
    site.fill(jaw & (before > 60) & (before < 68), MARROW)
    for side in (-1, 1):
        lobe = site.tube(site.front + 14, np.float32(side * 15), 8.0, 3.6, 5.8)
        site.fill(lobe, THYROID)
        for aside, ahead, radius in ((21, 9, 3.5), (28, 6, 5.5)):
            code = VESSEL if rng.random() < 0.7 else VEIN
            site.fill(site.tube(site.front + ahead, np.float32(side * aside), radius, -2, 7), code)
            # vertebral artery
        site.fill(site.tube(np.float32(9), side * (site.half_width + 2), 2.2, -1, 5.5), VESSEL)


def paint_head(site: Site) -> None:
    """Paint all above C1: skull base, brain stem, cerebellum, cisterns, scalp, face."""
    rng, u, v = site.rng, site.u, site.v
    top = np.float32(rng.uniform(-2.1, -1.6))
    height = (top - site.level) * 17
    above = height > 6 * site.noise(25)
    if not above.any():
        return
    # the posterior fossa as an ellipse behind the stem; its lower pole is the foramen magnum
    inside = ((u + rng.uniform(18, 30)) / rng.uniform(42, 52)) ** 2
    inside = inside + ((height - rng.uniform(42, 50)) / 50) ** 2 + (v / 62) ** 2
    site.fill(above & (u > 0), np.where(site.noise(12) > 0.3, LOOSE_FAT, MUSCLE).astype(np.uint8))
    site.fill(above & (u > 22 + 0.2 * height) & (u < 40), AIR)
    clivus = above & (u > 6 + 0.45 * height) & (u < 17 + 0.5 * height) & (np.abs(v) < 18)
    site.fill(clivus, ARCH_CORTEX)
    site.fill(clivus & (u > 8 + 0.45 * height) & (u < 15 + 0.5 * height), MARROW)
    scalp = above & (inside < 1.75) & (u < 0)
    site.fill(scalp, SKIN)
    site.fill(scalp & (inside < 1.65), FAT)
    site.fill(scalp & (inside < 1.4), MUSCLE if rng.random() < 0.5 else FAT)
    skull = above & (inside < 1.28) & ((u < -8) | (inside < 1.05))
    site.fill(skull, ARCH_CORTEX)
    site.fill(skull & (inside < 1.22) & (inside > 1.1), MARROW)
    brain = above & (inside < 1.03)
    site.fill(brain, CSF)
    folia = np.abs(site.noise(4.0, (1.5, 0.6, 1.5))) < 0.18
    cerebellum = brain & (inside < 0.9) & (u < -12)
    site.fill(cerebellum, CEREBELLUM)
    site.fill(cerebellum & folia, CSF)
    stem = (height > -20) & (np.abs(v) < 12) & (u > -7) & (u < 6 + 0.25 * np.maximum(height, 0))
    site.fill(stem & (height > 4), BRAIN)
    site.fill(brain & (height > rng.uniform(45, 60)), BRAIN)
    around = (height > -12) & (height <= 6) & (np.abs(v) < 15) & (u > -14) & (u < 9)
    site.fill(around & ~stem, CSF)
    ligament = (height > -14) & (height < 2) & (np.abs(v) < 10) & (u > 9) & (u < 13)
    site.fill(ligament, LIGAMENT)
