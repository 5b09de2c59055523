"""Bones near the spine that no label holds: atlas, ribs, ilium, coccyx."""

import numpy as np

from columna.phantom.around.profile import rank
from columna.phantom.spine.bones import CORTEX_MM, PhantomCanvas
from columna.phantom.spine.course import PhantomSpine, PhantomVertebra
from columna.phantom.spine.shapes import Rod
from columna.phantom.tissues import ARCH_CORTEX, EMPTY, MARROW


def paint_skeleton(canvas: PhantomCanvas, spine: PhantomSpine, *, coccyx: bool) -> None:
    """Give these bones their tissues (scene only, empty voxels)."""
    for rod in atlas(spine.vertebrae[0]):
        _paint(canvas, spine.vertebrae[0], rod)
    for vertebra in spine.vertebrae:
        if 6 <= rank(vertebra.label) < 18:
            for rod in _ribs(vertebra):
                _paint(canvas, vertebra, rod)
    for rod in _ilium(spine.sacrum[0]):
        _paint(canvas, spine.sacrum[0], rod)
    if coccyx:
        for rod in _coccyx(spine.sacrum[-1]):
            _paint(canvas, spine.sacrum[-1], rod)


def _paint(canvas: PhantomCanvas, vertebra: PhantomVertebra, rod: Rod) -> None:
    box = canvas.grid.box(vertebra.frame, *rod.reach())
    if box is None:
        return
    depth = rod.depth(canvas.grid.coordinates(vertebra.frame, box))
    scene = canvas.scene[box]
    free = scene == EMPTY
    # cortex as dark as that of the arches
    scene[free & (depth >= 0)] = ARCH_CORTEX
    scene[free & (depth >= CORTEX_MM)] = MARROW


def atlas(c2: PhantomVertebra) -> list[Rod]:
    """C1, which T2w models of SPINEPS do not label: front arch, lateral masses, back arch."""
    h, d = c2.body.height, c2.body.depth
    y_back = float(c2.canal_centre[1]) - c2.sizes.canal_ap / 2 - 4
    x, z = c2.sizes.canal_rl / 2 + 4, 0.5 * h + 8
    return [
        Rod((-6, 0.05 * d + 10, z), (6, 0.05 * d + 10, z), 3.0, 1.6),
        *(Rod((s * 6, 0.05 * d + 9, z), (s * x, -0.3 * d, z), 4.0, 1.6) for s in (-1, 1)),
        *(Rod((s * x, -0.3 * d, z), (0, y_back, z), 3.0, 1.3) for s in (-1, 1)),
    ]


def _ribs(vertebra: PhantomVertebra) -> list[Rod]:
    """Neck of a rib from the side of the body backwards, then its shaft around the chest."""
    x, d, h = vertebra.body.width / 2, vertebra.body.depth, vertebra.body.height
    rods = []
    for side in (-1, 1):
        start = (side * (x + 3), -0.45 * d, 0.4 * h)
        bend = (side * (x + 24), -0.45 * d - 24, 0.15 * h)
        end = (side * (x + 52), -0.45 * d - 14, -0.6 * h)
        rods += [Rod(start, bend, 4.0, 1.4), Rod(bend, end, 4.2, 1.5)]
    return rods


def _ilium(s1: PhantomVertebra) -> list[Rod]:
    """The posterior part of the iliac bones beside the sacrum."""
    x = s1.body.width / 2
    return [Rod((s * (x + 27), -38, 8), (s * (x + 34), 20, 10), 7.0, 4.0) for s in (-1, 1)]


def _coccyx(s5: PhantomVertebra) -> list[Rod]:
    """Four shrinking pieces that bend forwards."""
    at, angle, rods = np.array([0.0, 0.0, -s5.body.height / 2 - 2]), 0.2, []
    for length, radius in ((12, 5.0), (9, 4.0), (7, 3.2), (6, 2.6)):
        step = length * np.array([0, np.sin(angle), -np.cos(angle)])
        rods.append(Rod(tuple(at), tuple(at + 0.6 * step), radius))
        at, angle = at + step + np.array([0, 0, -1.0]), angle + 0.3
    return rods
