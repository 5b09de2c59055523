"""The posterior elements of a vertebra as rods; left is the patient's left."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from columna.anatomy import Semantic
from columna.images.triple import three
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.course import PhantomVertebra
from columna.phantom.spine.shapes import Rod

_SIDES = (
    (
        -1,
        Semantic.COSTAL_PROCESS_LEFT,
        Semantic.SUPERIOR_ARTICULAR_LEFT,
        Semantic.INFERIOR_ARTICULAR_LEFT,
    ),
    (
        1,
        Semantic.COSTAL_PROCESS_RIGHT,
        Semantic.SUPERIOR_ARTICULAR_RIGHT,
        Semantic.INFERIOR_ARTICULAR_RIGHT,
    ),
)

_FLAT = {
    Semantic.SUPERIOR_ARTICULAR_LEFT: (0.8, 1.2),
    Semantic.SUPERIOR_ARTICULAR_RIGHT: (0.8, 1.2),
    Semantic.INFERIOR_ARTICULAR_LEFT: (0.65, 1.35),
    Semantic.INFERIOR_ARTICULAR_RIGHT: (0.65, 1.35),
}
"""Depth and height of varied facets, relative to their width: plates rather than tubes."""


def posterior_rods(
    vertebra: PhantomVertebra, settings: PhantomSettings
) -> Iterator[tuple[Semantic, Rod]]:
    """Label and shape of each posterior element; the first one owns a point that several hold."""
    rng = np.random.default_rng([settings.seed, 4, vertebra.label])
    for label, rod in _normal_rods(vertebra):
        if settings.posterior_jitter or settings.posterior_size != 1:
            rod = _varied(rod, *_FLAT.get(label, (1.0, 1.0)), settings, rng)
        yield label, rod


def _varied(
    rod: Rod, deep: float, tall: float, settings: PhantomSettings, rng: np.random.Generator
) -> Rod:
    """The rod of an individual: thicker or thinner, its far end elsewhere."""
    wide, high, long = np.exp(rng.normal(0, settings.posterior_jitter, 3))
    start, end = np.array(rod.start), np.array(rod.end)
    reach = (end - start) * long + rng.normal(0, 4 * settings.posterior_jitter, 3) * (0.5, 1, 1)
    return replace(
        rod,
        end=three(float(v) for v in start + reach),
        radius=rod.radius * wide * settings.posterior_size,
        stretch=rod.stretch * high * tall,
        deep=deep,
    )


def _normal_rods(vertebra: PhantomVertebra) -> Iterator[tuple[Semantic, Rod]]:
    size, h = vertebra.sizes, vertebra.body.height
    y_canal = float(vertebra.canal_centre[1])
    y_back = y_canal - size.canal_ap / 2 - 0.45 * size.articular - 1.0
    x_pedicle = size.canal_rl / 2 + 0.9 * size.articular
    for side, costal, superior, inferior in _SIDES:
        x = side * x_pedicle
        corner = (x, y_canal - 0.35 * size.canal_ap, 0.05 * h)
        yield (
            Semantic.ARCUS,
            Rod((x, 2.0 - vertebra.body.depth / 2, 0.2 * h), corner, 0.75 * size.articular, 1.4),
        )
        yield Semantic.ARCUS, Rod(corner, (0.0, y_back, -0.25 * h), 0.62 * size.articular, 1.9)
        facet = (1.12 * x, corner[1] - 0.6 * size.articular, 0.55 * h)
        yield superior, Rod((x, corner[1] - 1.0, 0.25 * h), facet, 0.85 * size.articular, 1.2)
        medial = 0.72 * x
        yield (
            inferior,
            Rod(
                (medial, y_back - 0.8, -0.3 * h),
                (0.85 * x, y_back + 0.1 * size.articular, -0.5 * h - 0.6 * size.disc - 2.0),
                0.85 * size.articular,
                1.2,
            ),
        )
        yield (
            costal,
            Rod(
                (x + side * 0.7 * size.articular, corner[1] + 1.0, 0.1 * h),
                (x + side * (0.7 * size.articular + size.transverse), corner[1] - 5.0, 0.16 * h),
                0.8 * size.articular,
                1.25,
            ),
        )
    yield Semantic.SPINOUS_PROCESS, _spinous(vertebra, y_back)


def _spinous(vertebra: PhantomVertebra, y_back: float) -> Rod:
    """The spinous process: a flat rod that starts behind the arch and slopes down."""
    size = vertebra.sizes
    slope = math.radians(size.spinous_deg)
    radius = 3.0 + 0.06 * size.spinous_height
    y, z = y_back - 1.0, -0.25 * vertebra.body.height
    reach = max(size.spinous - radius, 1.0)
    return Rod(
        (0.0, y, z),
        (0.0, y - reach * math.cos(slope), z - reach * math.sin(slope)),
        radius,
        size.spinous_height / 2 / radius,
    )
