"""Abdomen, pelvis and chest in front of the spine."""

import numpy as np

from columna.phantom.around.site import Site
from columna.phantom.tissues import (
    AIR,
    ARCH_CORTEX,
    BOWEL_WALL,
    FASCIA,
    FLUID,
    HEART,
    LOOSE_FAT,
    LUNG,
    MARROW,
    MUSCLE,
    ORGANS,
    VEIN,
    VESSEL,
)


def paint_abdomen(site: Site) -> None:
    """Fat with bowel, upper organs, psoas, great vessels, the muscles of the wall."""
    rng, u, v, level = site.rng, site.u, site.v, site.level
    site.fill(np.array(True), LOOSE_FAT)
    _paint_bowel(site)
    # liver, stomach, pancreas, spleen: patches above L2
    coarse = site.noise(rng.uniform(20, 45))
    upper = (level + 0.6 * site.noise(40) < rng.uniform(16.5, 19.5)) & (
        u > site.front + rng.uniform(12, 25)
    )
    for code, threshold in zip(ORGANS, (-0.4, 0.5, 1.3), strict=True):
        site.fill(upper & (coarse > threshold), code)
    _paint_strands(site)
    _paint_psoas(site)
    _paint_great_vessels(site)
    inner = site.belly - np.float32(rng.uniform(8, 40))
    wall = (u > inner - rng.uniform(5, 11)) & (u < inner)
    site.fill(wall & (np.abs(v) > 4), MUSCLE)
    site.fill(wall & (np.abs(v) <= 4), FASCIA)


def _paint_bowel(site: Site) -> None:
    """Folded loops: wall, and content from gas to fluid."""
    rng = site.rng
    loops = site.noise(rng.uniform(9, 20), (1, 1, 1.5))
    content = site.noise(rng.uniform(15, 40))
    ahead = site.u > site.front + np.float32(rng.uniform(10, 30))
    edge = rng.uniform(-0.6, 0.6)
    site.fill(ahead & (loops > edge), BOWEL_WALL)
    inner = ahead & (loops > edge + rng.uniform(0.15, 0.5))
    site.fill(inner, ORGANS[1])
    site.fill(inner & (content > rng.uniform(0.2, 1.2)), FLUID)
    site.fill(inner & (content < -rng.uniform(0.3, 1.2)), AIR)
    site.fill(inner & (np.abs(content) < 0.25), ORGANS[2])


def _paint_strands(site: Site) -> None:
    """Vessels and strands in fat: thin sheets and small dots."""
    rng = site.rng
    sheets = np.abs(site.noise(rng.uniform(6, 16))) < rng.uniform(0.02, 0.15)
    site.fill(sheets & (site.tissue == LOOSE_FAT), FASCIA)
    dots = site.noise(rng.uniform(3, 6)) > rng.uniform(1.4, 2.2)
    code = VESSEL if rng.random() < 0.6 else VEIN
    site.fill(dots & (site.tissue == LOOSE_FAT), code)


def _paint_psoas(site: Site) -> None:
    rng, grow = site.rng, np.clip((site.level - 17) / 5, 0, 1)
    aside = site.half_width + 3 + 12 * grow
    middle = site.front * np.float32(rng.uniform(0.4, 0.6))
    for side in (-1, 1):
        distance = ((site.v - side * aside) / (4 + 12 * grow)) ** 2
        distance = distance + ((site.u - middle) / (6 + 16 * grow)) ** 2
        site.fill((distance < 1) & (site.level > 17), MUSCLE)


def _paint_great_vessels(site: Site) -> None:
    """Aorta left and vena cava right of the midline, dark or bright, and crura."""
    rng, u, v = site.rng, site.u, site.v
    strip = (u > 0) & (u < site.front + np.float32(rng.uniform(1, 7)))
    site.fill(strip & (np.abs(v) < site.half_width + 4), LOOSE_FAT)
    crus = (u < site.front + np.float32(rng.uniform(4, 11))) & (u > site.front - 6)
    site.fill(
        crus & (np.abs(v) < rng.uniform(8, 25)) & (site.level > 14) & (site.level < 20), MUSCLE
    )
    for middle, low, high in ((-9, 6.5, 22), (13, 14, 22.3)):
        radius = rng.uniform(6, 12)
        sway = 4 * np.sin(site.level * rng.uniform(0.2, 0.6) + rng.uniform(0, 6))
        at_u = site.front + np.float32(radius + rng.uniform(1, 6)) + sway * np.float32(0.5)
        at_v = np.float32(middle + rng.normal(0, 5)) + sway
        code = VESSEL if rng.random() < 0.75 else VEIN
        site.fill(site.tube(at_u, at_v, radius + 1.2, low, high), BOWEL_WALL)
        site.fill(site.tube(at_u, at_v, radius, low, high), code)


def paint_chest(site: Site) -> None:
    """Lungs, heart, airway, oesophagus, chest wall with ribs, sternum."""
    rng, u, v = site.rng, site.u, site.v
    level = site.level + np.float32(0.5) * site.noise(35)
    # the dome of the diaphragm is higher in front
    base = np.float32(rng.uniform(15, 18)) - np.maximum(u - site.front, 0) / 45
    chest = (level > 5) & (level < base)
    mediastinum = np.abs(v) < rng.uniform(14, 34)
    ahead = u > site.front - 4
    site.fill(chest & ahead, LUNG)
    site.fill(chest & (np.abs(v) > site.half_width + 6) & (u > -22), LUNG)
    site.fill(chest & ahead & mediastinum, LOOSE_FAT)
    _paint_strands(site)
    heart = ((u - site.front - rng.uniform(40, 60)) / rng.uniform(28, 42)) ** 2
    heart = heart + ((v + rng.uniform(0, 25)) / rng.uniform(28, 50)) ** 2
    heart = heart + ((site.level - rng.uniform(11, 13)) / rng.uniform(2.5, 3.6)) ** 2
    site.fill(chest & (heart < 1), HEART)
    site.fill(chest & (heart < 0.75) & (site.noise(18) > 0), VESSEL)
    tracheal = site.front + np.float32(rng.uniform(12, 20))
    trachea = site.tube(tracheal, np.float32(rng.normal(2, 3)), rng.uniform(7, 10), 4, 10)
    gullet = site.tube(
        site.front + np.float32(rng.uniform(5, 8)), np.float32(rng.normal(-3, 4)), 5.0, 4, 16
    )
    site.fill(gullet, BOWEL_WALL)
    site.fill(trachea, AIR)
    _paint_thoracic_aorta(site)
    _paint_chest_wall(site, chest)


def _paint_thoracic_aorta(site: Site) -> None:
    rng = site.rng
    aside = np.interp(site.level, [8, 12, 17], [-24, -16, -8]).astype(np.float32)
    at_u = site.front + np.interp(site.level, [8, 14, 17], [-4, 4, 10]).astype(np.float32)
    code = VESSEL if rng.random() < 0.8 else VEIN
    site.fill(site.tube(at_u, aside, rng.uniform(9, 14), 9, 17.5), code)


def _paint_chest_wall(site: Site, chest: np.ndarray) -> None:
    """Ribs as a row of ovals in the wall, and the sternum."""
    rng, u = site.rng, site.u
    inner = site.belly - np.float32(rng.uniform(10, 28))
    wall = chest & (u > inner - 12)
    site.fill(wall, MUSCLE)
    phase = site.level * np.float32(2 * np.pi * rng.uniform(0.8, 1.1)) + site.noise(30)
    ribs = wall & (u > inner - 10) & (u < inner) & (np.abs(site.v) > 18)
    site.fill(ribs & (np.sin(phase) > 0.2), ARCH_CORTEX)
    site.fill(ribs & (np.sin(phase) > 0.5), MARROW)
    sternum = wall & (u > inner - 11) & (np.abs(site.v) < 16)
    site.fill(sternum, ARCH_CORTEX)
    site.fill(sternum & (u > inner - 10) & (u < inner - 1) & (np.sin(phase / 2) > -0.95), MARROW)


def paint_pelvis(site: Site) -> None:
    """Bladder, rectum, inner organs below the promontory."""
    rng = site.rng
    low = site.level + np.float32(0.3) * site.noise(30) > rng.uniform(22.8, 23.8)
    ahead = site.u > site.front + 8
    site.fill(low & ahead & (site.noise(22) > rng.uniform(0.2, 1.0)), ORGANS[0])
    gut = site.noise(rng.uniform(12, 22))
    site.fill(low & ahead & (gut > 0.7), BOWEL_WALL)
    site.fill(low & ahead & (gut > 1.0), rng.choice([AIR, FLUID, ORGANS[2]]))
    bladder = ((site.u - site.front - rng.uniform(60, 90)) / rng.uniform(20, 40)) ** 2
    bladder = bladder + (site.v / 40) ** 2
    bladder = bladder + ((site.level - rng.uniform(26, 28)) / rng.uniform(1, 2.2)) ** 2
    site.fill(bladder < 1.15, MUSCLE)
    site.fill(bladder < 1, FLUID)
