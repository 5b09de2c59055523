"""Mistakes of networks, made in the true masks of a phantom: for tests and for calibration.

All functions change masks in (P, I, R) in place; instances carry their true levels. A piece that
is no vertebra gets the number `FALSE`.
"""

import numpy as np
from scipy import ndimage

from columna.anatomy import C2, DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic

FALSE = 90
"""Instance label of a piece that is no vertebra."""
VERTEBRAL = (*range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY_INNER + 1), Semantic.DENS)


def body_rows(semantic: np.ndarray, instance: np.ndarray, label: int) -> tuple[int, int]:
    """First row of a body, and the first one below it."""
    body = (instance == label) & (semantic == Semantic.VERTEBRAL_BODY)
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    return int(rows[0]), int(rows[-1]) + 1


def miss_vertebra(semantic: np.ndarray, instance: np.ndarray, label: int) -> None:
    """Leave a vertebra out."""
    semantic[instance == label] = 0
    instance[instance == label] = 0


def lose_dens(semantic: np.ndarray, instance: np.ndarray, share: float = 0.55) -> None:
    """Leave out the upper `share` of the body of C2: its dens."""
    first, stop = body_rows(semantic, instance, C2)
    rows = np.arange(semantic.shape[1])[None, :, None]
    lost = (instance == C2) & np.isin(semantic, (Semantic.VERTEBRAL_BODY, Semantic.DENS))
    lost &= rows < first + round(share * (stop - first))
    semantic[lost] = instance[lost] = 0


def split_vertebra(
    semantic: np.ndarray, instance: np.ndarray, label: int, share: float = 0.5
) -> None:
    """Cut a body in two; the upper part keeps `share` of the height, and the processes."""
    first, stop = body_rows(semantic, instance, label)
    cut = round(first + share * (stop - first))
    body = (instance == label) & (semantic == Semantic.VERTEBRAL_BODY)
    rows = np.arange(semantic.shape[1])[None, :, None]
    instance[body & (rows >= cut)] = FALSE
    semantic[body & (rows == cut)] = instance[body & (rows == cut)] = 0


def merge_vertebrae(semantic: np.ndarray, instance: np.ndarray, upper: int, lower: int) -> None:
    """Run two neighbours, and what lies between them, together."""
    between = np.isin(instance, (DISC_OFFSET + upper, ENDPLATE_OFFSET + upper))
    semantic[between] = Semantic.VERTEBRAL_BODY
    instance[between | (instance == lower)] = upper


def call_upper_sacrum_body(semantic: np.ndarray, instance: np.ndarray, rows: int) -> None:
    """Call the upper rows of the sacrum a body: a sliver of S1, or more of it."""
    sacrum = semantic == Semantic.SACRUM
    first = int(np.flatnonzero(sacrum.any(axis=(0, 2)))[0])
    piece = sacrum & (np.arange(semantic.shape[1]) < first + rows)[None, :, None]
    # beside the canal lie the processes of S1, not its body
    front = np.argwhere(piece)[:, 0]
    piece &= (np.arange(semantic.shape[0]) < np.quantile(front, 0.8))[:, None, None]
    semantic[piece], instance[piece] = Semantic.VERTEBRAL_BODY, FALSE


def give_to_sacrum(
    semantic: np.ndarray, instance: np.ndarray, label: int, share: float = 0.5
) -> None:
    """Give the lower `share` of the last body, and what lies below it, to the sacrum."""
    first, stop = body_rows(semantic, instance, label)
    rows = np.arange(semantic.shape[1])[None, :, None]
    body = (instance == label) & (semantic == Semantic.VERTEBRAL_BODY)
    taken = body & (rows >= round(stop - share * (stop - first)))
    taken |= np.isin(instance, (DISC_OFFSET + label, ENDPLATE_OFFSET + label))
    semantic[taken], instance[taken] = Semantic.SACRUM, SACRUM


def add_false_body(
    semantic: np.ndarray,
    instance: np.ndarray,
    centre: tuple[int, int, int],
    radii: tuple[float, float, float],
) -> None:
    """Call an ellipsoid of fat a body, where nothing else is."""
    axes = np.ogrid[tuple(slice(0, n) for n in semantic.shape)]
    away = sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radii, strict=True))
    piece = (away <= 1) & ~ndimage.binary_dilation(semantic > 0)
    semantic[piece], instance[piece] = Semantic.VERTEBRAL_BODY, FALSE
