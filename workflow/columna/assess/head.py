"""Signs of where the head is, in the masks of a spine.

From neck to sacrum bodies grow deeper, larger and farther apart; the cord ends at the first lumbar
vertebrae; pedicles spring from the upper half of their bodies; the sacrum is the lowest of all
(Gray's Anatomy, chapters on the vertebral column and the spinal cord). No sign is certain in every
scan, so `head_up` weighs those that are there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import edt
import numpy as np
from scipy import ndimage, stats

from columna.anatomy import Semantic
from columna.assess.quality_context import ScanCrop
from columna.label.evidence import MIN_SACRUM_MM3

UPPER = (Semantic.SUPERIOR_ARTICULAR_LEFT, Semantic.SUPERIOR_ARTICULAR_RIGHT)
LOWER = (Semantic.INFERIOR_ARTICULAR_LEFT, Semantic.INFERIOR_ARTICULAR_RIGHT)
MIN_TREND = 3
"""Values that a trend from top to bottom needs."""
MIN_BODY_VOXELS = 20
MIN_CORD_MM3 = 300.0
MIN_CANAL_ROWS = 9
PEDICLE_MM = 4.5
"""An arch this near to the body is pedicle."""
MIN_PEDICLE_VOXELS = 3
MIN_VERTEBRAE = 2
"""Vertebrae that have to show a part, before its place counts."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A vertebra with a body, cut out of the masks.

    Parameters
    ----------
    semantic
        Structures of this vertebra, 0 elsewhere; along P, I, R.
    is_body
        Its body, same shape.
    start
        Index of the first voxel in the crop, shape (3,).
    spacing_mm
        Voxel size along P, I, R.
    pixel_mm2
        Area of a voxel within its sagittal slice, also of a sheared grid.
    """

    semantic: np.ndarray
    is_body: np.ndarray
    start: np.ndarray
    spacing_mm: np.ndarray
    pixel_mm2: float

    @cached_property
    def centre_mm(self) -> np.ndarray:
        """Centre of the body along P, I, R, shape (3,)."""
        return (np.argwhere(self.is_body).mean(axis=0) + self.start) * self.spacing_mm

    @property
    def depth_mm(self) -> float:
        """Median extent of the body along P, over the middle half of its rows."""
        outline = np.any(self.is_body, axis=2)
        rows = np.flatnonzero(outline.any(axis=0))
        quarter = len(rows) // 4
        middle = outline[:, rows[quarter : len(rows) - quarter]]
        return float(np.median([np.ptp(np.flatnonzero(row)) + 1 for row in middle.T])) * float(
            self.spacing_mm[0]
        )

    @property
    def section_mm2(self) -> float:
        """Largest sagittal section of the body."""
        return float(self.is_body.sum(axis=(0, 1)).max() * self.pixel_mm2)

    def height_of(self, mask: np.ndarray) -> float:
        """Mean place of `mask` along I, from the centre of the body, in heights of the body."""
        rows = np.nonzero(self.is_body)[1]
        low, high = np.quantile(rows, (0.05, 0.95))
        return float((np.nonzero(mask)[1].mean() - rows.mean()) / max(high - low, 1))

    def has(self, *structures: int) -> np.ndarray:
        """Mask of structures of this vertebra."""
        return np.isin(self.semantic, structures)


class Sign(NamedTuple):
    """What one sign says: `value` from 1 (the head is up) to -1 (upside down)."""

    name: str
    value: float
    weight: float


def pieces_of(crop: ScanCrop) -> list[Piece]:
    """Vertebrae with a body, from top to bottom."""
    pieces = []
    for label, box in enumerate(ndimage.find_objects(crop.instance * crop.is_vertebra), start=1):
        if box is None:
            continue
        is_own = crop.instance[box] == label
        is_body = is_own & crop.is_body[box]
        if is_body.sum() >= MIN_BODY_VOXELS:
            start = np.array([side.start for side in box])
            semantic = np.where(is_own, crop.semantic[box], 0)
            pieces.append(Piece(semantic, is_body, start, crop.spacing_mm, crop.pixel_mm2))
    return sorted(pieces, key=lambda piece: piece.centre_mm[1])


def sacrum_below(crop: ScanCrop, _: list[Piece]) -> float | None:
    """Share of the bodies' voxels that lie above the centre of the sacrum, as 1 to -1."""
    sacrum_n = (crop.semantic == Semantic.SACRUM).sum(axis=(0, 2))
    bodies_n = crop.is_body.sum(axis=(0, 2))
    if not bodies_n.any() or sacrum_n.sum() * crop.voxel_volume_mm3 < MIN_SACRUM_MM3:
        return None
    centre = np.average(np.arange(len(sacrum_n)), weights=sacrum_n)
    return 2 * float(bodies_n[np.arange(len(bodies_n)) < centre].sum() / bodies_n.sum()) - 1


def cord_above(crop: ScanCrop, _: list[Piece]) -> float | None:
    """Share of the cord in the canal, upper third minus lower third."""
    cord_n = crop.is_cord.sum(axis=(0, 2))
    canal_n = crop.is_canal.sum(axis=(0, 2))
    rows = np.flatnonzero(canal_n)
    if len(rows) < MIN_CANAL_ROWS or cord_n.sum() * crop.voxel_volume_mm3 < MIN_CORD_MM3:
        return None
    upper, _middle, lower = (
        cord_n[part].sum() / canal_n[part].sum() for part in np.array_split(rows, 3)
    )
    return float(upper - lower)


def bodies_apart(_: ScanCrop, pieces: list[Piece]) -> float | None:
    """Growth of the distance between bodies, per level."""
    return _trend(
        [float(np.linalg.norm(b.centre_mm - a.centre_mm)) for a, b in pairwise(_inner(pieces))]
    )


def bodies_deepen(_: ScanCrop, pieces: list[Piece]) -> float | None:
    """Growth of the bodies' depth, per level."""
    return _trend([piece.depth_mm for piece in _inner(pieces)])


def bodies_enlarge(_: ScanCrop, pieces: list[Piece]) -> float | None:
    """Growth of the bodies' largest sagittal section, per level."""
    return _trend([piece.section_mm2 for piece in _inner(pieces)])


def _inner(pieces: list[Piece]) -> list[Piece]:
    """Without both ends, where bodies are cut off, and C2 has its dens."""
    return pieces[1:-1]


def _trend(sizes: list[float]) -> float | None:
    """Median slope of the logarithms (Theil-Sen)."""
    if len(sizes) < MIN_TREND:
        return None
    return float(stats.theilslopes(np.log(np.maximum(sizes, 1e-3)))[0])


def pedicles_above(_: ScanCrop, pieces: list[Piece]) -> float | None:
    """How far above the centre of their body pedicles spring from it, in heights of the body."""
    heights = []
    for piece in pieces:
        arch = piece.has(Semantic.ARCUS)
        if not arch.any():
            continue
        away = edt.edt(np.ascontiguousarray(~piece.is_body), anisotropy=tuple(piece.spacing_mm))
        pedicle = arch & (away < PEDICLE_MM)
        if pedicle.sum() >= MIN_PEDICLE_VOXELS:
            heights.append(-piece.height_of(pedicle))
    return float(np.median(heights)) if len(heights) >= MIN_VERTEBRAE else None


def processes_swapped(_: ScanCrop, pieces: list[Piece]) -> float | None:
    """-1 where most inferior articular processes lie above the superior ones, else None.

    Networks that learned from upright spines call the upper one superior, so the usual order says
    nothing.
    """
    places = [(piece, piece.has(*UPPER), piece.has(*LOWER)) for piece in pieces]
    below = [
        piece.height_of(lower) > piece.height_of(upper)
        for piece, upper, lower in places
        if upper.any() and lower.any()
    ]
    return -1.0 if len(below) >= MIN_VERTEBRAE and np.mean(below) < 0.5 else None


class _Known(NamedTuple):
    """A sign, the value at which it is sure, and how much it counts."""

    look: Callable[[ScanCrop, list[Piece]], float | None]
    sure: float
    weight: float


SIGNS = (
    _Known(sacrum_below, 1.0, 3.0),
    _Known(cord_above, 0.2, 1.0),
    _Known(bodies_apart, 0.03, 1.0),
    _Known(bodies_deepen, 0.03, 0.5),
    _Known(bodies_enlarge, 0.05, 0.5),
    _Known(pedicles_above, 0.4, 1.0),
    _Known(processes_swapped, 1.0, 4.0),
)
"""Chosen on what networks made of 48 scans, upright and upside down (benchmarks/orientation.py)."""


def head_signs(crop: ScanCrop, pieces: list[Piece]) -> list[Sign]:
    """All signs that the masks show; `pieces` as `pieces_of` gives them."""
    looked = ((known, known.look(crop, pieces)) for known in SIGNS)
    return [
        Sign(known.look.__name__, float(np.clip(value / known.sure, -1, 1)), known.weight)
        for known, value in looked
        if value is not None
    ]
