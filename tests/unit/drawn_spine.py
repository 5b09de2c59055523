"""A spine of boxes: small, exact, and easy to spoil on purpose."""

from dataclasses import dataclass

import numpy as np

from columna.images.volume import PIR, Volume

PITCH = 24
BODY_ROWS = 16
SPACING_MM = (1.0, 1.0, 3.0)
FIRST_ROW = 8
SACRUM_ROWS = 40

# label, voxels towards posterior, rows within the pitch, slices (low index is left)
VERTEBRA = (
    (49, (4, 24), (0, 16), (3, 11)),
    (41, (24, 34), (4, 10), (3, 5)),
    (41, (24, 34), (4, 10), (9, 11)),
    (41, (34, 38), (2, 12), (3, 11)),
    (42, (38, 46), (4, 14), (6, 8)),
    (43, (28, 32), (5, 8), (1, 3)),
    (44, (28, 32), (5, 8), (11, 13)),
    (45, (30, 33), (0, 4), (3, 5)),
    (46, (30, 33), (0, 4), (9, 11)),
    (47, (30, 33), (10, 14), (3, 5)),
    (48, (30, 33), (10, 14), (9, 11)),
)
SPACE = (
    (62, (4, 24), (16, 17), (3, 11)),
    (100, (5, 23), (17, 23), (4, 10)),
    (62, (4, 24), (23, 24), (3, 11)),
)


@dataclass
class Drawn:
    """Masks in (P, I, R); instances are numbered 1..n from the top, the sacrum is not one."""

    semantic: np.ndarray
    instance: np.ndarray

    def volume(self, array: np.ndarray) -> Volume:
        """Place `array` in space: axes towards posterior, inferior and right."""
        p, i, r = SPACING_MM
        affine = np.array([[0, 0, r, -20], [-p, 0, 0, 30], [0, -i, 0, 100], [0, 0, 0, 1]], float)
        placed = Volume(array, affine)
        assert placed.orientation == PIR
        return placed

    def volumes(self) -> tuple[Volume, Volume]:
        return self.volume(self.semantic), self.volume(self.instance)

    def row(self, vertebra: int) -> int:
        """First row of the body of a vertebra (1..n)."""
        return FIRST_ROW + (vertebra - 1) * PITCH


def _paint(mask: np.ndarray, parts, row: int, value: int | None = None) -> None:
    for label, p, i, r in parts:
        mask[slice(*p), row + i[0] : row + i[1], slice(*r)] = value or label


def draw_spine(count: int, sacrum: bool = True, dens: bool = False) -> Drawn:
    """`count` vertebrae from top to bottom, plates and discs between and above, a sacrum below.

    With `dens`, the first vertebra carries a dens and nothing lies above it.
    """
    rows = FIRST_ROW + count * PITCH + (SACRUM_ROWS if sacrum else 0) + 8 + (14 if dens else 0)
    top = FIRST_ROW + (14 if dens else 0)
    semantic = np.zeros((50, rows, 14), np.uint8)
    instance = np.zeros_like(semantic)
    semantic[25:30, 2:-2, 5:9] = 61
    semantic[26:29, 2:-2, 6:8] = 60
    for number in range(1, count + 1):
        row = top + (number - 1) * PITCH
        _paint(semantic, VERTEBRA, row)
        _paint(instance, VERTEBRA, row, number)
        if number < count or sacrum:
            _paint(semantic, SPACE, row)
    if dens:
        semantic[10:16, top - 14 : top, 5:9] = 49
        instance[10:16, top - 14 : top, 5:9] = 1
    if sacrum:
        row = top + count * PITCH
        semantic[4:30, row : row + SACRUM_ROWS, 3:11] = 26
    return Drawn(semantic, instance)


def add_space_above(drawn: Drawn) -> None:
    """Draw the plate and disc above the first vertebra."""
    row = int(np.flatnonzero((drawn.instance == 1).any(axis=(0, 2)))[0]) - PITCH
    for label, p, i, r in SPACE[1:]:
        drawn.semantic[slice(*p), max(row + i[0], 0) : row + i[1], slice(*r)] = label
