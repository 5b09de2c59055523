"""Behind and beside the spine: muscles with fat, fat between processes, epidural fat, roots."""

import numpy as np

from columna.phantom.around.site import Site
from columna.phantom.tissues import EPIDURAL_FAT, FASCIA, LIGAMENT, LOOSE_FAT, MUSCLE, NERVE, VEIN


def paint_back(site: Site) -> None:
    """Paint all that lies behind the middle of the canal, and the foramina."""
    rng, u, v = site.rng, site.u, site.v
    behind = u < np.minimum(0, 12 - 0.35 * np.abs(v))
    site.fill(behind, MUSCLE)
    # streaks run along the muscles; the lumbar ones degenerate most
    streaks = site.noise(rng.uniform(3, 7), (0.8, 4, 1.2))
    wasting = np.interp(
        site.level, [0, 8, 18, 23], rng.uniform(-0.4, 0.9) + np.array([0, 0.2, 0.1, -0.4])
    )
    site.fill(behind & (streaks > wasting.astype(np.float32) + 0.7), LOOSE_FAT)
    planes = np.abs(site.noise(rng.uniform(10, 20), (1, 4, 1.5))) < rng.uniform(0.03, 0.12)
    site.fill(behind & planes, LOOSE_FAT if rng.random() < 0.7 else FASCIA)
    _paint_midline(site)
    _paint_canal_fat(site)
    _paint_foramina(site)


def _paint_midline(site: Site) -> None:
    """Interspinous fat and ligaments, and the ligament over the tips."""
    rng, u, v = site.rng, site.u, site.v
    half = rng.uniform(2.5, 5)
    between = (u < 0) & (u > -site.tip) & (np.abs(v) < half)
    mixture = site.noise(rng.uniform(3, 6))
    site.fill(between, LOOSE_FAT)
    site.fill(between & (mixture > rng.uniform(-0.8, 0.8)), LIGAMENT)
    site.fill(between & (mixture < -rng.uniform(0.8, 2.0)), MUSCLE)
    if rng.random() < 0.8:
        over = (u < -site.tip) & (u > -site.tip - rng.uniform(2, 5)) & (np.abs(v) < 4)
        site.fill(over & (site.level > 5), LIGAMENT)
    # in the neck the nuchal ligament and fat between muscle layers
    neck = (site.level + 0.5 * mixture < 6) & (u < -site.tip) & (np.abs(v) < rng.uniform(1.5, 4))
    site.fill(neck, LIGAMENT if rng.random() < 0.5 else LOOSE_FAT)


def _paint_canal_fat(site: Site) -> None:
    """Around the sac: fat behind it, thick below L2; fat and veins in front of it at L5 and S1."""
    rng, u, v = site.rng, site.u, site.v
    depth = np.interp(
        site.level, [0, 6, 10, 17, 22, 25], rng.uniform(0.6, 1.5) * np.array([1, 3, 5, 5, 8, 9])
    )
    fat = (u < 0) & (u > -site.canal - depth.astype(np.float32))
    fat = fat & (np.abs(v) < np.interp(site.level, [0, 8, 22], [7, 7, 10]))
    site.fill(fat, EPIDURAL_FAT)
    flavum = fat & (u < -site.canal - depth.astype(np.float32) + rng.uniform(0.5, 2.5))
    site.fill(flavum, LIGAMENT)
    front = (u > 0) & (u < site.front) & (np.abs(v) < 12) & (site.level > rng.uniform(20.5, 22.5))
    site.fill(front, EPIDURAL_FAT if rng.random() < 0.7 else VEIN)


def _paint_foramina(site: Site) -> None:
    """Fat with roots and veins beside the canal."""
    rng = site.rng
    aside = np.abs(site.v)
    open_ = (aside > 7) & (aside < site.half_width + np.float32(rng.uniform(2, 8)))
    high = np.interp(site.level, [0, 8, 22], [7, 8, 13]).astype(np.float32)
    open_ = open_ & (np.abs(site.u) < high)
    site.fill(open_, EPIDURAL_FAT)
    roots = site.noise(rng.uniform(3, 4.5), (1, 1, 3))
    site.fill(open_ & (roots > 1.0), NERVE)
    site.fill(open_ & (roots < -rng.uniform(1.0, 2.2)), VEIN)
