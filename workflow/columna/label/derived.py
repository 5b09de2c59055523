"""Instances that follow from the vertebrae: sacrum, metal, discs, endplates and their sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columna.anatomy import (
    ABOVE_NAMELESS,
    C2,
    DISC_OFFSET,
    ENDPLATE_OFFSET,
    L1,
    L6,
    NAMELESS,
    SACRUM,
    T12,
    T13,
    Semantic,
)
from columna.images.morphology import dilated
from columna.images.triple import three
from columna.images.volume import Box
from columna.label.components import INFERIOR, Components

GROWTH_STEPS = 14
"""Endplates farther than this many voxels from their vertebra keep the label 62."""


@dataclass(frozen=True)
class LabelColumn:
    """Labels along the spine from top to bottom, and how low each lies (voxels along I).

    The first entry is the level above the first vertebra. It has no voxels; what lies above the
    first vertebra is counted as the space below it.
    """

    labels: list[int]
    heights: list[float]

    @classmethod
    def of(
        cls, vertebrae: Sequence[tuple[int, float]], sacrum_height: float | None
    ) -> "LabelColumn | None":
        """Arrange (label, height) of the vertebrae, and the sacrum below them, by height."""
        if not vertebrae:
            return None
        known = sorted(vertebrae, key=lambda v: v[1])
        if sacrum_height is not None:
            known.append((SACRUM, max(sacrum_height, known[-1][1])))
        labels, heights = zip(*known, strict=True)
        return cls([level_above(labels[0]), *labels], [-np.inf, *heights])

    def above(self, height: float) -> int:
        """Label of the nearest entry that lies higher than `height`."""
        return self.labels[self._place(height)]

    def below(self, height: float) -> int:
        """Label of the nearest entry that does not lie higher; the last one beyond the end."""
        return self.labels[min(self._place(height) + 1, len(self.labels) - 1)]

    def _place(self, height: float) -> int:
        return int(np.searchsorted(self.heights, height)) - 1


def level_above(label: int) -> int:
    """Return the label of the level above in a spine without T13."""
    if label in NAMELESS:
        return ABOVE_NAMELESS
    return {L1: T12, T13: T12, L6: L6 - 1}.get(label, label - 1)


def add_derived(
    semantic: np.ndarray, instance: np.ndarray, spaces: Components, column: LabelColumn | None
) -> None:
    """Write sacrum, metal, dens, discs and endplates into both masks.

    Steps and reasons: docs/method.md#derived-labels.

    Discs get 100 + X, unsplit endplates 200 + X, where X is the vertebra above the space. Models
    that tell the sides of endplates apart (52, 53) get the number of the vertebra itself.

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R); vertebrae already have their final labels. Changed in place.
    spaces
        Pieces of discs and endplates.
    column
        Order and heights of the labels; None without vertebrae: then only sacrum and metal are
        written.
    """
    instance[semantic == Semantic.SACRUM] = SACRUM
    instance[semantic == Semantic.METAL] = Semantic.METAL
    if column is None:
        return
    if C2 in column.labels[1:]:
        instance[semantic == Semantic.DENS] = C2
    numbers = np.zeros(len(spaces.owner), instance.dtype)
    for piece in spaces.numbers:
        numbers[piece] = _number(spaces.owner[piece], spaces.centres[piece, INFERIOR], column)
    index = np.flatnonzero(spaces.array)
    instance.reshape(-1)[index] = numbers[spaces.array.ravel()[index]]
    plates = {
        label: [p for p in spaces.of(Semantic.ENDPLATE) if numbers[p] == ENDPLATE_OFFSET + label]
        for label in column.labels
    }
    for upper, lower in zip(column.labels, [*column.labels[1:], None], strict=True):
        if plates[upper]:
            box = _around([spaces.boxes[p] for p in plates[upper]], semantic.shape)
            _split_endplates(semantic[box], instance[box], upper, lower)


def _number(owner: int, height: float, column: LabelColumn) -> int:
    if owner == Semantic.DISC:
        return DISC_OFFSET + column.above(height)
    if owner == Semantic.ENDPLATE:
        return ENDPLATE_OFFSET + column.above(height)
    if owner == Semantic.ENDPLATE_SUPERIOR:
        return column.below(height)
    return column.above(height)


def _split_endplates(
    semantic: np.ndarray, instance: np.ndarray, upper: int, lower: int | None
) -> None:
    """Call the plates of one space inferior (of `upper`) or superior (of `lower`).

    Both vertebrae grow voxel by voxel; the first to reach a voxel of the plates owns it.
    """
    plates = instance == ENDPLATE_OFFSET + upper
    sides = [
        (instance == vertebra, side)
        for vertebra, side in (
            (upper, Semantic.ENDPLATE_INFERIOR),
            (lower, Semantic.ENDPLATE_SUPERIOR),
        )
        if vertebra is not None
    ]
    for _ in range(GROWTH_STEPS):
        sides = [(dilated(reach, rank=3), side) for reach, side in sides]
        for reach, side in sides:
            semantic[plates & reach] = side
            plates = plates & ~reach
        if not plates.any():
            return


def _around(boxes: list[Box], shape: tuple[int, ...]) -> Box:
    """Box around `boxes` and everything that can grow into them."""
    return three(
        slice(
            max(min(s.start for s in axis) - GROWTH_STEPS, 0),
            min(max(s.stop for s in axis) + GROWTH_STEPS, size),
        )
        for axis, size in zip(zip(*boxes, strict=True), shape, strict=True)
    )
