"""Shared by benchmarks/rules.py: what is wrong with a result, by comparison with the truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cc3d
import numpy as np

from columna.anatomy import (
    BODY,
    CANAL,
    DISC_OFFSET,
    ENDPLATES,
    POSTERIOR_ELEMENTS,
    SACRUM,
    Semantic,
    levels,
)
from columna.domains import BODIES, CANAL_CORD, DISCS, NAMES
from columna.evaluate.drawn import drawn_bodies, drawn_discs, drawn_structure, sides_of_canal
from columna.evaluate.found_once import Match, match_vertebrae
from columna.evaluate.known_scans import true_masks
from columna.evaluate.overlap import dice
from columna.images.volume import load_volume
from columna.tables.vertebrae import MEASURED
from rule_cases import Judged

BODY_DICE, DRAWN_DICE, DISC_DICE, CANAL_DICE = 0.8, 0.75, 0.7, 0.8
"""Below them a body, a body as people draw it (with pedicles), a disc or the canal is faulty."""
FOUND_DICE = 0.1
DRAWN_BODY = (*BODY, *ENDPLATES, Semantic.DENS, *POSTERIOR_ELEMENTS)
"""What people draw in front of the canal: the body with its pedicles."""
ISLANDS_MM3 = 1000.0
"""More than this away from the true spine is a fault of its own."""


class Fault(NamedTuple):
    """Something wrong: `item` is the vertebra of the table, None where none was found."""

    domain: str
    kind: str
    item: str | None


def faults(judged: Judged, folder: Path) -> list[Fault]:
    """What is wrong with a result.

    Nothing is known of real scans without a drawing. Parts that the field of view cuts have no
    measures, so a low Dice of theirs is no fault.
    """
    if judged.code != "done":
        return [Fault(BODIES, "refused", None)]
    if not judged.case.is_real:
        return list(_of_phantom(judged, folder))
    return list(_of_drawing(judged)) if judged.case.drawn else []


def _of_phantom(judged: Judged, folder: Path) -> Iterator[Fault]:
    semantic, instance, seen = true_masks(judged.case, folder)
    true_sem, true_ins = (v.reoriented().array for v in (semantic, instance))
    sem, ins = (v.reoriented().array for v in (judged.semantic, judged.instance))
    numbers, names = _numbered(judged, ins)
    vertebrae = [n for n in seen if n != SACRUM and (true_ins == n).any()]
    matches = match_vertebrae(numbers, true_ins, vertebrae)
    bodies = np.isin(sem, BODY), np.isin(true_sem, BODY)
    for match in matches:
        row = names.get(match.found_label)
        if seen[match.label] == 1:
            found = bodies[0] & (numbers == match.found_label)
            true = bodies[1] & (true_ins == match.label)
            if not true.any():
                continue
            yield from _of_match(match, row, dice(found, true), BODY_DICE)
        if row and row["level"] and match.dice > 0.5 and row["level"] != levels()[match.label].name:
            yield Fault(NAMES, "wrong level", row["vertebra"])
    matched = {match.found_label for match in matches}
    for number, row in names.items():
        if row["presence"] != "fragment" and number not in matched:
            yield Fault(BODIES, "false", row["vertebra"])
    if _island_mm3(sem, true_sem, judged.semantic.voxel_volume_mm3) > ISLANDS_MM3:
        yield Fault(BODIES, "island", None)
    for label in np.unique(true_ins[true_sem == Semantic.DISC]):
        if seen.get(int(label) - DISC_OFFSET) == 1:
            yield from _of_disc((true_ins == label), sem, ins, judged)
    is_disc = true_sem == Semantic.DISC
    for row in judged.rows["discs"]:
        upper = [r for r in judged.vertebrae if r["vertebra"] == row["vertebra_upper"]]
        if row["presence"] in MEASURED and upper:
            mine = (sem == Semantic.DISC) & (ins == DISC_OFFSET + upper[0]["spineps_label"])
            if not (mine & is_disc).any():
                yield Fault(DISCS, "false", row["vertebra_upper"])
    if dice(np.isin(sem, CANAL), np.isin(true_sem, CANAL)) < CANAL_DICE:
        yield Fault(CANAL_CORD, "canal", None)


def _island_mm3(found: np.ndarray, true: np.ndarray, voxel_mm3: float) -> float:
    """Volume of the pieces of the mask that share no voxel with the true spine."""
    parts = cc3d.connected_components(found != 0, connectivity=26)
    sizes = np.bincount(parts.ravel())
    sizes[np.unique(parts[true != 0])] = 0
    return float(sizes[1:].sum() * voxel_mm3)


def _numbered(judged: Judged, instance: np.ndarray) -> tuple[np.ndarray, dict[int, dict]]:
    """Vertebrae numbered from 1, since matching knows labels of levels only; and their rows."""
    rows = dict(enumerate(judged.vertebrae, start=1))
    table = np.zeros(int(instance.max()) + 1, np.uint8)
    for number, row in rows.items():
        table[row["spineps_label"]] = number
    return table[instance], rows


def _of_match(match: Match, row: dict | None, score: float, least: float) -> Iterator[Fault]:
    if row is None or match.dice < FOUND_DICE:
        yield Fault(BODIES, "missed", None)
    elif match.instances_n > 1:
        yield Fault(BODIES, "split", row["vertebra"])
    elif not match.once and match.dice >= least:
        yield Fault(BODIES, "merged", row["vertebra"])
    elif score < least and row["presence"] in MEASURED:
        yield Fault(BODIES, "body", row["vertebra"])


def _of_disc(true: np.ndarray, sem: np.ndarray, ins: np.ndarray, judged: Judged) -> Iterator[Fault]:
    """Compare with the disc that covers most of it; one that is cut has no measures."""
    labels = np.where(sem == Semantic.DISC, ins, 0)
    counts = np.bincount(labels[true].astype(int), minlength=1)
    counts[0] = 0
    best = int(counts.argmax())
    if not counts.any():
        yield Fault(DISCS, "missed", None)
        return
    above = [r for r in judged.vertebrae if r["spineps_label"] == best - DISC_OFFSET]
    upper = above[0]["vertebra"] if above else None
    rows = [r for r in judged.rows["discs"] if r["vertebra_upper"] == upper]
    is_measured = not rows or rows[0]["presence"] in MEASURED
    if dice(labels == best, true) < DISC_DICE and is_measured:
        yield Fault(DISCS, "disc", upper)


def _of_drawing(judged: Judged) -> Iterator[Fault]:
    drawn = load_volume(judged.case.drawn).reoriented()
    sem, ins = (v.reoriented().array for v in (judged.semantic, judged.instance))
    numbers, names = _numbered(judged, ins)
    in_front, _ = sides_of_canal(drawn.array)
    bodies = drawn_bodies(drawn)
    found = np.where(in_front & np.isin(sem, DRAWN_BODY), numbers, 0)
    whole = [n for n in np.unique(bodies).tolist() if n and not _is_cut(bodies == n)]
    for match in match_vertebrae(found, bodies, whole):
        yield from _of_match(match, names.get(match.found_label), match.dice, DRAWN_DICE)
    yield from _lowest(found, bodies, names)
    discs = drawn_discs(drawn)
    for label in np.unique(discs[discs > 0]):
        yield from _of_disc(discs == label, sem, ins, judged)
    if dice(np.isin(sem, CANAL), drawn_structure(drawn.array, "canal_with_cord")) < CANAL_DICE:
        yield Fault(CANAL_CORD, "canal", None)


def _is_cut(mask: np.ndarray) -> bool:
    rows = np.flatnonzero(mask.any(axis=(0, 2)))
    return bool(rows[0] == 0 or rows[-1] == mask.shape[1] - 1)


def _lowest(found: np.ndarray, bodies: np.ndarray, names: dict) -> Iterator[Fault]:
    """The lowest vertebra that is drawn is L5: people drew no sacrum."""
    lowest = int(bodies.max())
    if not lowest:
        return
    [match] = match_vertebrae(found, bodies, [lowest])
    row = names.get(match.found_label)
    if row and row["level"] and row["level"] != "L5":
        for other in names.values():
            if other["level"]:
                yield Fault(NAMES, "wrong level", other["vertebra"])
