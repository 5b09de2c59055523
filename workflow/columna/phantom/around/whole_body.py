"""A whole body around a spine, as unlabelled tissues with a T2w look of their own.

It need not be anatomy in detail; it has to hold whatever a network could take for a spine: bright
fat with dark islands, dark tubes, ribs, gas, fluid, folded bowel, muscle with fat streaks.
"""

import numpy as np
from scipy import ndimage

from columna.anatomy import Semantic
from columna.phantom.around.back import paint_back
from columna.phantom.around.neck import paint_head, paint_neck
from columna.phantom.around.profile import Profile
from columna.phantom.around.site import Site, make_site
from columna.phantom.around.trunk import paint_abdomen, paint_chest, paint_pelvis
from columna.phantom.spine.bones import PhantomCanvas
from columna.phantom.tissues import AIR, EMPTY, FASCIA, FAT, LIGAMENT, SAC_RIM, SKIN


def paint_body(canvas: PhantomCanvas, profile: Profile, rng: np.random.Generator) -> None:
    """Give every voxel of the scene that is still empty a tissue (in place).

    Parameters
    ----------
    canvas
        Its grid lies along P, I, R; bones, discs and canal are painted.
    profile
        Where the spine is.
    """
    scene = canvas.scene
    _line(canvas, rng)
    site = make_site(canvas.grid, profile, rng)
    paint_abdomen(site)
    paint_chest(site)
    paint_pelvis(site)
    paint_neck(site)
    paint_back(site)
    _paint_shell(site)
    paint_head(site)
    empty = scene == EMPTY
    scene[empty] = site.tissue[empty]


def _paint_shell(site: Site) -> None:
    """Subcutaneous fat with septa, skin, and air outside."""
    rng = site.rng
    depth = np.minimum(site.u - site.back, site.belly - site.u)
    thick = np.interp(site.level, [0, 6, 14, 23], rng.uniform(3, 12) * np.array([0.5, 0.8, 1, 1.8]))
    # the back's fat differs from the belly's
    ratio = np.where(site.u > 0, np.float32(np.exp(rng.normal(0.1, 0.5))), np.float32(1))
    thick = (thick * ratio).astype(np.float32)
    wavy = depth + np.float32(1.5) * site.noise(25)
    site.fill(wavy < thick + rng.uniform(1, 2), FASCIA)
    site.fill(wavy < thick, FAT)
    if rng.random() < 0.8:
        septa = np.abs(site.noise(rng.uniform(6, 14), (1, 2.5, 2))) < rng.uniform(0.03, 0.1)
        site.fill(septa & (wavy < thick) & (wavy > 3), FASCIA)
    site.fill(depth < rng.uniform(1.2, 2.5), SKIN)
    site.fill(depth < 0, AIR)


def _line(canvas: PhantomCanvas, rng: np.random.Generator) -> None:
    """Dark ligaments around bones and discs, and the rim of the dural sac."""
    solid = (canvas.semantic != 0) & ~np.isin(canvas.semantic, (60, 61))
    cross = canvas.grid.cross
    free = canvas.scene == EMPTY
    sac = canvas.semantic == Semantic.SPINAL_CANAL
    kind = rng.random()
    if kind < 0.7:  # dura, or a canal label that is smaller than the fluid
        ring = ndimage.binary_dilation(sac, cross) & free
        canvas.scene[ring] = LIGAMENT if kind < 0.3 else SAC_RIM
        free &= ~ring
    if rng.random() < 0.85:
        canvas.scene[ndimage.binary_dilation(solid, cross) & free] = LIGAMENT
