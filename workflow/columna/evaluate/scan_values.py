"""Evaluate the masks of one scan against reference masks: rows of the table ``evaluation``."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from columna.anatomy import levels
from columna.evaluate.conventions import KINDS, Convention, Mask, structure_labels
from columna.evaluate.distances import Closeness, closeness
from columna.evaluate.overlap import Overlap, match, overlap, recognition
from columna.images.triple import three
from columna.images.volume import Box, bounding_box

WHOLE, CUT, LATERAL_CUT = "whole", "cut", "lateral_cut"
"""Strata: what the field of view leaves of a reference instance."""


@dataclass(frozen=True)
class Masks:
    """Masks of one program, on the grid of the comparison.

    Parameters
    ----------
    semantic, instance
        Labels, shape of the grid; None where the program gives none.
    convention
        What the labels mean.
    """

    semantic: Mask | None
    instance: Mask | None
    convention: Convention

    def structure(self, name: str) -> NDArray[np.bool_] | None:
        """Voxels of a structure; None where these masks do not tell it."""
        if self.semantic is None or name not in self.convention.structures:
            return None
        return self.convention.structure(self.semantic, name)

    def cropped(self, box: Box) -> "Masks":
        """The part within `box`."""
        return self.changed(lambda mask: mask[box])

    def changed(self, change: Callable[[Mask], Mask]) -> "Masks":
        """Both masks, each of them changed alike."""
        semantic, instance = (m if m is None else change(m) for m in (self.semantic, self.instance))
        return Masks(semantic, instance, self.convention)

    def instances(self, kind: str) -> Mask | None:
        """Instances of a kind; None where these masks do not tell them."""
        if self.instance is None:
            return None
        return self.convention.instance_mask(kind, self.semantic, self.instance)


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a comparison are.

    Parameters
    ----------
    spacing_mm
        Voxel size along each axis.
    voxel_mm3
        Volume of a voxel.
    lateral_axis
        Array axis that runs from left to right.
    shape
        Voxels of the field of view along each axis.
    start
        Index in the field of view of the first voxel of the masks, which may be a part of it.
    """

    spacing_mm: NDArray[np.float64]
    voxel_mm3: float
    lateral_axis: int
    shape: tuple[int, ...]
    start: tuple[int, ...] = (0, 0, 0)


@dataclass(frozen=True)
class Value:
    """One number of the evaluation, or the reason why there is none.

    Parameters
    ----------
    structure
        Structure, or kind of instance.
    unit
        ``structure`` (all of it in the scan), ``instance`` (one vertebra, body, disc or plate) or
        ``scan`` (all instances of a kind together).
    metric, value, status
        `status` is ``ok`` where there is a value.
    level, reference_label, prediction_label
        Of an instance.
    stratum
        ``whole``, ``cut``, ``lateral_cut``; ``all`` for structures and scans.
    n
        Instances, or scans, that the value rests on.
    """

    structure: str
    unit: str
    metric: str
    value: float | None
    status: str = "ok"
    level: str | None = None
    reference_label: int | None = None
    prediction_label: int | None = None
    stratum: str = "all"
    n: int = 1


@dataclass
class _Pair:
    """A kind of instance in both masks."""

    kind: str
    reference: Mask
    prediction: Mask
    overlap: Overlap
    pairs: dict[int, int]
    strata: dict[int, str] = field(default_factory=dict)
    closeness: dict[int, Closeness] = field(default_factory=dict)


def evaluate(prediction: Masks, reference: Masks, grid: Grid) -> list[Value]:
    """Compare the masks of one scan with reference masks.

    Parameters
    ----------
    prediction, reference
        Masks on one grid, each with its convention. What one of them does not tell is not evaluated
        and gives no row.
    grid
        Where the voxels are.

    Returns
    -------
    list of Value
        Structures first, then each instance, then all instances of a kind together.
    """
    box = _occupied(prediction, reference)
    prediction, reference = prediction.cropped(box), reference.cropped(box)
    grid = replace(grid, start=tuple(side.start for side in box))
    rows = list(_structures(prediction, reference, grid))
    for kind in KINDS:
        pair = _pair(kind, prediction, reference, grid)
        if pair is not None:
            rows += _instances(pair, prediction.convention, reference.convention)
            rows += _together(pair, prediction.convention, reference.convention)
    return rows


def _occupied(*masks: Masks) -> Box:
    """Box of everything that any mask shows: the rest of the scan changes no number."""
    arrays = [m for pair in masks for m in (pair.semantic, pair.instance) if m is not None]
    boxes = [box for box in map(bounding_box, arrays) if box is not None]
    return reduce(_union, boxes) if boxes else (slice(0, 0), slice(0, 0), slice(0, 0))


def _structures(prediction: Masks, reference: Masks, grid: Grid) -> Iterator[Value]:
    for name in structure_labels():
        true, found = reference.structure(name), prediction.structure(name)
        if true is not None and found is not None:
            near = closeness(true, found, grid.spacing_mm, grid.voxel_mm3)
            yield from _measures(near, Value(name, "structure", "", None))


def _measures(near: Closeness, row: Value) -> Iterator[Value]:
    """Metrics of a pair of masks, each NULL with its reason where it does not exist."""
    both_empty = near.dice is None
    empty = "both_empty" if both_empty else "one_empty"
    base = vars(row)
    difference = near.prediction_mm3 - near.reference_mm3
    relative = difference / near.reference_mm3 if near.reference_mm3 else None
    iou = near.dice / (2 - near.dice) if near.dice is not None else None
    for metric, value in (
        ("dice", near.dice),
        ("iou", iou),
        ("assd_mm", near.assd_mm),
        ("hd95_mm", near.hd95_mm),
        ("volume_difference_mm3", None if both_empty else difference),
        ("relative_volume_difference", relative),
    ):
        status = "ok" if value is not None else empty
        yield Value(**base | {"metric": metric, "value": value, "status": status})


def _pair(kind: str, prediction: Masks, reference: Masks, grid: Grid) -> _Pair | None:
    true, found = reference.instances(kind), prediction.instances(kind)
    if true is None or found is None:
        return None
    counts = overlap(true, found)
    pair = _Pair(kind, true, found, counts, match(counts))
    boxes, partners = _boxes(true), _boxes(found)
    for label in counts.references:
        pair.strata[label] = _stratum(label, boxes[label], reference, grid)
        partner = pair.pairs.get(label)
        if partner is not None:
            box = _union(boxes[label], partners[partner])
            pair.closeness[label] = closeness(
                true[box] == label, found[box] == partner, grid.spacing_mm, grid.voxel_mm3
            )
    return pair


def _boxes(mask: Mask) -> dict[int, Box]:
    """Smallest box of every label, found in one pass."""
    found = ndimage.find_objects(mask)
    return {label: three(box) for label, box in enumerate(found, 1) if box is not None}


def _union(a: Box, b: Box) -> Box:
    x, y, z = (slice(min(i.start, j.start), max(i.stop, j.stop)) for i, j in zip(a, b, strict=True))
    return x, y, z


def _stratum(label: int, box: Box, reference: Masks, grid: Grid) -> str:
    touches = [
        side.start + start == 0 or side.stop + start == n
        for side, start, n in zip(box, grid.start, grid.shape, strict=True)
    ]
    is_lateral = touches.pop(grid.lateral_axis)
    if label in reference.convention.cut or any(touches):
        return CUT
    return LATERAL_CUT if is_lateral else WHOLE


def _instances(pair: _Pair, predicted: Convention, true: Convention) -> Iterator[Value]:
    for label in pair.overlap.references:
        partner = pair.pairs.get(label)
        row = Value(
            pair.kind,
            "instance",
            "",
            None,
            level=true.levels.get(label),
            reference_label=label,
            prediction_label=partner,
            stratum=pair.strata[label],
        )
        if partner is None:
            yield Value(**vars(row) | {"metric": "dice", "value": 0.0, "status": "missed"})
            continue
        yield from _measures(pair.closeness[label], row)
        offset = _offset(label, partner, predicted, true)
        status = "ok" if offset is not None else "level_unknown"
        yield Value(**vars(row) | {"metric": "level_offset", "value": offset, "status": status})


def _offset(label: int, partner: int, predicted: Convention, true: Convention) -> float | None:
    """Levels by which a match is named too low (positive) or too high."""
    order = {level.name: level.level_order for level in levels().values()}
    names = true.levels.get(label), predicted.levels.get(partner)
    if names[0] is None or names[1] is None:
        return None
    return float((order[names[1]] or 0) - (order[names[0]] or 0))


def _together(pair: _Pair, predicted: Convention, true: Convention) -> Iterator[Value]:
    """Counts and qualities of all instances, and of those that are not cut by the field of view."""
    is_cut = {label for label, stratum in pair.strata.items() if stratum == CUT}
    for stratum, left_out in (("all", set()), ("not_cut", is_cut)):
        counts = pair.overlap.without(left_out)
        pairs = {a: b for a, b in pair.pairs.items() if a not in left_out}
        found = recognition(counts, pairs)
        offsets = [_offset(a, b, predicted, true) for a, b in pairs.items()]
        near = [pair.closeness[label] for label in pairs]
        for metric, value, n in (
            *_counts(vars(found), len(counts.references)),
            *_qualities(near, found.quality, found.missed),
            *_levels([offset for offset in offsets if offset is not None]),
        ):
            status = "ok" if value is not None else "no_instance"
            yield Value(pair.kind, "scan", metric, value, status, stratum=stratum, n=n)


def _counts(found: Mapping[str, int], references_n: int) -> Iterator[tuple[str, float | None, int]]:
    for name, number in found.items():
        yield f"{name}_n", float(number), references_n


def _qualities(
    near: list[Closeness], quality: float | None, missed: int
) -> Iterator[tuple[str, float | None, int]]:
    dices = [c.dice for c in near if c.dice is not None]
    distances = [c.assd_mm for c in near if c.assd_mm is not None]
    segmentation = _mean([dice / (2 - dice) for dice in dices])
    n = len(dices)
    panoptic = (segmentation or 0.0) * quality if quality is not None else None
    yield "recognition_quality", quality, n + missed
    yield "segmentation_quality", segmentation, n
    yield "panoptic_quality", panoptic, n + missed
    yield "dice_of_matched", _mean(dices), n
    yield "dice_with_missed", _mean([*dices, *[0.0] * missed]), n + missed
    yield "assd_of_matched_mm", _mean(distances), n


def _levels(offsets: list[float]) -> Iterator[tuple[str, float | None, int]]:
    right = sum(offset == 0 for offset in offsets)
    yield "level_right_n", float(right) if offsets else None, len(offsets)
    yield "level_wrong_n", float(len(offsets) - right) if offsets else None, len(offsets)
    largest = max(map(abs, offsets), default=None)
    yield "level_offset_largest", largest, len(offsets)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
