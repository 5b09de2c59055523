"""What makes bodies look unlike each other: vessels, oedema, haemangiomas, sclerosis.

Only the tissue changes; the labels stay.
"""

import numpy as np

from columna.anatomy import Semantic
from columna.phantom.spine.bones import PhantomCanvas
from columna.phantom.spine.course import PhantomSpine, PhantomVertebra
from columna.phantom.tissues import BASIVERTEBRAL, LESIONS


def paint_lesions(canvas: PhantomCanvas, spine: PhantomSpine, rng: np.random.Generator) -> None:
    """Paint the basivertebral vein of most bodies, and patches into some (scene only)."""
    rate = rng.choice([0.0, 0.05, 0.25])
    for vertebra in spine.vertebrae:
        size = vertebra.body
        if rng.random() < 0.7:
            half = np.array([0.11, 0.2, 0.06]) * (size.width, size.depth, size.height)
            _blob(canvas, vertebra, np.array([0, -0.36 * size.depth, 0]), half, BASIVERTEBRAL)
        for side in (-1, 1):  # Modic-like, along an endplate
            if rng.random() < rate:
                where = np.array(
                    [0, rng.uniform(-0.4, 0.4) * size.depth, side * 0.46 * size.height]
                )
                half = rng.uniform(0.15, 0.5, 3) * (size.width, size.depth, 0.6 * size.height)
                _blob(canvas, vertebra, where, half, int(rng.choice(LESIONS)))
        if rng.random() < 0.3 * rate + 0.03:  # round, anywhere
            where = rng.uniform(-0.3, 0.3, 3) * (size.width, size.depth, size.height)
            half = np.full(3, rng.uniform(2.0, 0.4 * size.height))
            _blob(canvas, vertebra, where, half, int(rng.choice(LESIONS)))


def _blob(
    canvas: PhantomCanvas,
    vertebra: PhantomVertebra,
    centre: np.ndarray,
    half: np.ndarray,
    code: int,
) -> None:
    """Change the tissue of an ellipsoid within the marrow of a body."""
    box = canvas.grid.box(vertebra.frame, centre - half, centre + half)
    if box is None:
        return
    at = canvas.grid.coordinates(vertebra.frame, box)
    inside = sum(((x - c) / h) ** 2 for x, c, h in zip(at, centre, half, strict=True)) <= 1
    scene = canvas.scene[box]
    scene[inside & (scene == Semantic.VERTEBRAL_BODY)] = code
