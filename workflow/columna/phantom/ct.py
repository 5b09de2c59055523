"""A CT of a phantom: a scan of the wrong modality."""

import numpy as np

from columna.anatomy import DISC_OFFSET, Semantic
from columna.images.volume import Volume
from columna.phantom import tissues
from columna.phantom.generate import make_scene
from columna.phantom.paint import Contrast, render
from columna.phantom.settings import PhantomSettings

AIR_HU = -1000
SOFT_HU = 45
DISC_HU = 80
HOUNSFIELD: dict[int, float] = {
    tissues.AIR: AIR_HU,
    tissues.LUNG: -820,
    **dict.fromkeys((tissues.FAT, tissues.LOOSE_FAT, tissues.EPIDURAL_FAT), -100),
    **dict.fromkeys((tissues.FLUID, tissues.CSF, tissues.CAUDA, Semantic.SPINAL_CANAL), 12),
    tissues.BRAIN: 35,
    Semantic.SPINAL_CORD: 35,
    **dict.fromkeys((tissues.BONE, tissues.MARROW, tissues.BASIVERTEBRAL), 160),
    **dict.fromkeys((Semantic.SACRUM, Semantic.VERTEBRAL_BODY), 190),
    **dict.fromkeys(range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY), 320),
    Semantic.ENDPLATE: 450,
    **dict.fromkeys((tissues.BODY_CORTEX, tissues.SACRAL_CORTEX), 600),
    tissues.ARCH_CORTEX: 900,
}
"""Typical Hounsfield units of tissues; all others are soft tissue."""


def make_ct(settings: PhantomSettings) -> Volume:
    """Make a CT of the phantom that `settings` describe; int16, Hounsfield units."""
    scene = make_scene(settings)
    rng = np.random.default_rng([settings.seed, 13])
    mean = np.full(256, SOFT_HU, np.float32)
    mean[DISC_OFFSET:] = DISC_HU
    for code, value in HOUNSFIELD.items():
        mean[code] = value
    spacing = scene.grid.spacing_mm
    contrast = Contrast(mean - AIR_HU, texture=0.005, bias=0, noise=20)
    units = render(scene.tissues, spacing, contrast, rng) + AIR_HU
    return Volume(np.round(units).astype(np.int16), scene.grid.affine)
