"""Write vertebrae, endplates, discs and sacrum into the masks of a phantom."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic
from columna.images.volume import Box
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.course import C2, PhantomSpine, PhantomVertebra
from columna.phantom.spine.posterior_parts import posterior_rods
from columna.phantom.spine.shapes import Rod, superellipse
from columna.phantom.tissues import (
    ARCH_CORTEX,
    BODY_CORTEX,
    CLEFT,
    NUCLEUS_OFFSET,
    REMNANT_DISC,
    SACRAL_CORTEX,
)
from columna.phantom.voxels import VoxelGrid

CORTEX_MM = 0.9
DISC_BULGE = 1.04
"""Width of a disc relative to the endplates around it."""
NUCLEUS = 0.62
"""Radius of the nucleus relative to the disc."""


@dataclass(frozen=True)
class PhantomCanvas:
    """The three arrays of a phantom on one grid; a voxel belongs to the first that claims it."""

    grid: VoxelGrid
    semantic: np.ndarray
    instance: np.ndarray
    scene: np.ndarray

    def claim(self, box: Box, where: np.ndarray, label: int, instance: int, tissue: int) -> None:
        """Label the still empty voxels of `box` for which `where` holds."""
        free = where & (self.semantic[box] == 0)
        self.semantic[box][free] = label
        self.instance[box][free] = instance
        self.scene[box][free] = tissue


def paint_bones(canvas: PhantomCanvas, spine: PhantomSpine, settings: PhantomSettings) -> None:
    """Paint bodies with endplates, then discs, sacrum and posterior elements."""
    chain = spine.chain
    above = [None, *chain[:-1]]
    for upper, vertebra in zip(above, chain, strict=True):
        _paint_body(canvas, vertebra, upper.label if upper else None, settings)
    for upper, lower in pairwise(chain):
        if upper.label not in settings.missing_disc_below:
            _paint_disc(canvas, upper, lower, settings)
    for number, segment in enumerate(spine.sacrum[1:], 1):
        if settings.sacral_notch:
            _paint_remnant(canvas, spine.sacrum[number - 1], segment, settings)
        _paint_body(canvas, segment, None, settings)
    for rod in _wings(spine.sacrum[0]):
        _paint_rod(canvas, spine.sacrum[0], rod, Semantic.SACRUM, Semantic.SACRUM)
    for vertebra in spine.vertebrae:
        for label, rod in posterior_rods(vertebra, settings):
            _paint_rod(canvas, vertebra, rod, label, ARCH_CORTEX)


def _paint_body(
    canvas: PhantomCanvas, vertebra: PhantomVertebra, upper: int | None, settings: PhantomSettings
) -> None:
    """A body and its endplates; `upper` is the vertebra above, whose disc space names the plate."""
    body, sacral = vertebra.body, vertebra.label == SACRUM
    box = canvas.grid.box(vertebra.frame, *body.reach())
    if box is not None:
        x, y, z = canvas.grid.coordinates(vertebra.frame, box)
        top, bottom = body.upper(x, y), body.lower(x, y)
        inside = body.contains_section(x, y, z) & (z <= top) & (z >= bottom)
        plate = settings.endplate_mm
        if upper is not None:
            where = inside & (z > top - plate)
            canvas.claim(box, where, Semantic.ENDPLATE, ENDPLATE_OFFSET + upper, Semantic.ENDPLATE)
        if not sacral:
            where = inside & (z < bottom + plate)
            instance = ENDPLATE_OFFSET + vertebra.label
            canvas.claim(box, where, Semantic.ENDPLATE, instance, Semantic.ENDPLATE)
        label = Semantic.SACRUM if sacral else Semantic.VERTEBRAL_BODY
        shrink = 1 - 2 * CORTEX_MM / body.depth
        core = inside & body.contains_section(x / shrink, y / shrink, z)
        canvas.claim(box, core, label, vertebra.label, label)
        canvas.claim(box, inside, label, vertebra.label, BODY_CORTEX)
    if vertebra.label == C2:
        for rod in _dens(vertebra):
            _paint_rod(canvas, vertebra, rod, Semantic.VERTEBRAL_BODY, BODY_CORTEX)


def _paint_disc(
    canvas: PhantomCanvas, upper: PhantomVertebra, lower: PhantomVertebra, settings: PhantomSettings
) -> None:
    """Everything between two bodies within the side wall; bone of the nearer one if fused."""
    frame, half = _between(upper, lower)
    fused, bulge = upper.label in settings.fused_below, settings.bulging.get(upper.label, 0.0)
    half += (bulge, bulge, 0)
    box = canvas.grid.box(frame, -half, half)
    if box is None:
        return
    x, y, z = canvas.grid.coordinates(frame, box)
    in_upper = canvas.grid.coordinates(upper.frame, box)
    in_lower = canvas.grid.coordinates(lower.frame, box)
    exponent = upper.body.exponent
    radius = superellipse(x, y, half[0], half[1], exponent)
    below = upper.body.lower(*in_upper[:2]) - in_upper[2]
    over = in_lower[2] - lower.body.upper(*in_lower[:2])
    where = (radius <= 1) & (below > 0) & (over > 0)
    if fused:
        body = Semantic.VERTEBRAL_BODY
        canvas.claim(box, where & (z >= 0), body, upper.label, body)
        where &= z < 0
        label = Semantic.SACRUM if lower.label == SACRUM else body
        canvas.claim(box, where, label, lower.label, label)
        return
    instance = DISC_OFFSET + upper.label
    nucleus = where & (radius <= NUCLEUS**exponent)
    if settings.surroundings == "body":
        # a lens with a dark cleft at mid height, as in scans
        height = (below - over) / np.maximum(below + over, np.float32(1e-3))
        width = radius ** np.float32(2 / exponent) / np.float32(NUCLEUS**2)
        nucleus = where & (width + height**2 <= 1)
        cleft = nucleus & (np.abs(height) < 0.16) & (width < 0.6)
        canvas.claim(box, cleft, Semantic.DISC, instance, CLEFT)
    canvas.claim(box, nucleus, Semantic.DISC, instance, instance + NUCLEUS_OFFSET)
    canvas.claim(box, where, Semantic.DISC, instance, instance)


def _paint_remnant(
    canvas: PhantomCanvas, upper: PhantomVertebra, lower: PhantomVertebra, settings: PhantomSettings
) -> None:
    """A remnant disc between two sacral segments: sacrum by label, disc by looks."""
    frame, half = _between(upper, lower)
    size = settings.sacral_notch
    # just below the upper segment, whose bone is painted already
    thick = np.float32(1.0 + 2.2 * size)
    bottom = upper.to_world(np.array([0, 0, -upper.body.height / 2]))
    frame[:3, 3] = bottom - float(thick) * frame[:3, 2]
    box = canvas.grid.box(frame, -half, half)
    if box is None:
        return
    x, y, z = canvas.grid.coordinates(frame, box)
    inside = superellipse(x, y, half[0] * (0.5 + 0.45 * size), half[1] * (0.6 + 0.35 * size)) <= 1
    sacrum = Semantic.SACRUM
    canvas.claim(box, inside & (np.abs(z) < thick), sacrum, sacrum, REMNANT_DISC)
    canvas.claim(box, inside & (np.abs(z) < thick + 1), sacrum, sacrum, SACRAL_CORTEX)


def _between(upper: PhantomVertebra, lower: PhantomVertebra) -> tuple[np.ndarray, np.ndarray]:
    """Frame in the middle of a disc space, and half sizes of a box that holds the disc."""
    bottom = upper.to_world(np.array([0, 0, -upper.body.height / 2]))
    top = lower.to_world(np.array([0, 0, lower.body.height / 2]))
    up = upper.frame[:3, 2] + lower.frame[:3, 2]
    up /= np.linalg.norm(up)
    side = upper.frame[:3, 0] - (upper.frame[:3, 0] @ up) * up
    side /= np.linalg.norm(side)
    frame = np.eye(4)
    frame[:3, :3] = np.stack([side, np.cross(up, side), up], axis=1)
    frame[:3, 3] = (bottom + top) / 2
    width = DISC_BULGE * (upper.body.width + lower.body.width) / 2
    depth = DISC_BULGE * (upper.body.depth + lower.body.depth) / 2
    return frame, np.array([width / 2, depth / 2, np.linalg.norm(top - bottom) / 2 + depth / 4])


def _paint_rod(
    canvas: PhantomCanvas, vertebra: PhantomVertebra, rod: Rod, label: int, cortex: int
) -> None:
    box = canvas.grid.box(vertebra.frame, *rod.reach())
    if box is None:
        return
    depth = rod.depth(canvas.grid.coordinates(vertebra.frame, box))
    canvas.claim(box, depth >= CORTEX_MM, label, vertebra.label, label)
    canvas.claim(box, depth >= 0, label, vertebra.label, cortex)


def _dens(c2: PhantomVertebra) -> list[Rod]:
    """The dens: a part of the body (label 49), as SPINEPS labels it in T2w models."""
    top, scale = c2.body.height / 2, c2.body.depth / 15.0
    y = 0.05 * c2.body.depth
    return [Rod((0, y, top - 3 * scale), (0, y, top + 13 * scale), 5.2 * scale)]


def _wings(s1: PhantomVertebra) -> list[Rod]:
    """The lateral masses of the sacrum."""
    scale = s1.body.width / 52.0
    return [
        Rod(
            (side * 16 * scale, -6 * scale, 0),
            (side * 38 * scale, -13 * scale, -8 * scale),
            9 * scale,
            1.3,
        )
        for side in (-1, 1)
    ]
