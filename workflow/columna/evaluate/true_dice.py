"""The true Dice of every structure that was found: what predicted quality is calibrated on."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from columna.anatomy import (
    BODY,
    CANAL,
    DISC_OFFSET,
    ENDPLATES,
    POSTERIOR_ELEMENTS,
    Semantic,
)
from columna.evaluate.conventions import Mask
from columna.evaluate.drawn import Bits, drawn_bodies, drawn_discs, drawn_structure, sides_of_canal
from columna.evaluate.known_scans import MeasuredScan, true_masks
from columna.evaluate.overlap import dice, overlap
from columna.images.volume import Volume, load_volume
from columna.predict.signs import SeenBodies

DRAWN_BODY = (*BODY, *ENDPLATES, Semantic.DENS, *POSTERIOR_ELEMENTS)
"""What people draw in front of the canal: the body with its pedicles."""


class TrueDice(NamedTuple):
    """Dice of one structure: its kind (`columna.predict.signs.KINDS`) and vertebra label."""

    kind: str
    label: int
    dice: float


def true_dice(found: MeasuredScan, folder: Path) -> list[TrueDice]:
    """Dice of every body, disc, canal segment and posterior part of a result.

    A structure is compared with the true one that it covers most of, so that a false one has 0,
    and parts of a split one have little. Structures of which a drawing shows nothing are left out,
    because people draw neither cut vertebrae nor all of the canal.

    Parameters
    ----------
    found
        A result that is done.
    folder
        That keeps the true masks of phantoms.
    """
    if found.context is None or found.rows is None:
        return []
    ours = found.context.semantic.reoriented(), found.context.instance.reoriented()
    cells = SeenBodies.of(found.rows["vertebrae"])
    if found.scan.is_real:
        if found.scan.drawn is None:
            return []
        return list(_of_drawing(*ours, load_volume(found.scan.drawn).reoriented(), cells))
    semantic, instance, _ = true_masks(found.scan, folder)
    return list(_of_phantom(*ours, semantic.reoriented(), instance.reoriented(), cells))


def _of_phantom(
    semantic: Volume, instance: Volume, true_sem: Volume, true_ins: Volume, cells: SeenBodies
) -> Iterator[TrueDice]:
    kinds = {
        "body": (BODY, 0),
        "posterior": (POSTERIOR_ELEMENTS, 0),
        "disc": ((Semantic.DISC,), DISC_OFFSET),
    }
    for kind, (structures, offset) in kinds.items():
        ours = np.where(np.isin(semantic.array, structures), instance.array, 0)
        true = np.where(np.isin(true_sem.array, structures), true_ins.array, 0)
        yield from _of_instances(kind, ours, true, offset)
    ours, true = np.isin(semantic.array, CANAL), np.isin(true_sem.array, CANAL)
    yield from _of_cells("canal", ours, true, semantic, cells)


def _of_drawing(
    semantic: Volume, instance: Volume, drawing: Volume, cells: SeenBodies
) -> Iterator[TrueDice]:
    front, behind = sides_of_canal(drawing.array)
    bodies = np.where(front & np.isin(semantic.array, DRAWN_BODY), instance.array, 0)
    yield from _of_instances("body", bodies, drawn_bodies(drawing), 0, is_all_known=False)
    discs = np.where(semantic.array == Semantic.DISC, instance.array, 0)
    yield from _of_instances("disc", discs, drawn_discs(drawing), DISC_OFFSET, is_all_known=False)
    canal = np.isin(semantic.array, CANAL)
    drawn = drawn_structure(drawing.array, "canal_with_cord")
    yield from _of_cells("canal", canal, drawn, semantic, cells, is_all_known=False)
    ours = behind & np.isin(semantic.array, POSTERIOR_ELEMENTS)
    true = behind & drawn_structure(drawing.array, "vertebra")
    yield from _of_cells("posterior", ours, true, semantic, cells, is_all_known=False)


def _of_instances(
    kind: str, ours: Mask, true: Mask, offset: int, *, is_all_known: bool = True
) -> Iterator[TrueDice]:
    """Each instance with the true one that it covers most of."""
    both = overlap(true, ours)
    for column, label in enumerate(both.predictions):
        covered = both.common[:, column]
        if covered.any():
            yield TrueDice(kind, label - offset, float(both.dice[covered.argmax(), column]))
        elif is_all_known:
            yield TrueDice(kind, label - offset, 0.0)


def _of_cells(
    kind: str,
    ours: Bits,
    true: Bits,
    grid: Volume,
    cells: SeenBodies,
    *,
    is_all_known: bool = True,
) -> Iterator[TrueDice]:
    """What lies nearer to one body than to all others, each apart."""
    index = np.nonzero(ours | true)
    place = np.stack(index, axis=1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    owner = cells.nearest(place)
    mine, theirs = ours[index], true[index]
    for label in cells.labels:
        inside = owner == label
        if (inside & mine).any() and (is_all_known or (inside & theirs).any()):
            yield TrueDice(kind, label, dice(mine & inside, theirs & inside))
