"""Masks that somebody has edited in another program, in place of the computed ones."""

from collections.abc import Sequence
from typing import Any

import fastremap
import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, levels
from columna.errors import ScanRefused
from columna.images.volume import Volume
from columna.label.final_masks import level_entries
from columna.label.given import check_labels, is_vertebra, on_grid, renumbered, spine_of
from columna.label.naming import NamedInstance, Naming
from columna.label.result import LabelResult
from columna.label.reviewed import COMPUTED, REVIEWED, refused
from columna.label.seen_spine import MIN_BODY_RATIO
from columna.review.levels import LevelDecisions

BASE = 1000
"""More than any label of a vertebra."""


def replace_masks(
    computed: LabelResult,
    semantic: Volume | None,
    instance: Volume | None,
    decisions: LevelDecisions | None = None,
) -> LabelResult:
    """Final masks, of which one or both have been edited.

    A vertebra that still has the number it was delivered with keeps its name; one that was given
    another number is the level of that number. Without an edited mask of vertebrae, the computed
    one loses the voxels that are no structure any more.

    Parameters
    ----------
    computed
        The result without the edited masks.
    semantic, instance
        The edited masks; SPINEPS labels, as delivered. None: the computed one stays.
    decisions
        What `computed` was named by; no vertebra that they name may be missing.

    Returns
    -------
    LabelResult
        Its `levels` also have the ``position`` of each vertebra in `computed`, by which decisions
        name it; None for vertebrae that were added.

    Raises
    ------
    ScanRefused
        ``mask_labels``, ``mask_grid``, or ``bad_correction`` if names would repeat, or a vertebra
        that is named by a decision is not there any more.
    """
    grid = computed.semantic
    if semantic is not None:
        semantic = on_grid(semantic, grid, "corrected semantic")
    if instance is not None:
        instance = on_grid(instance, grid, "corrected instance")
        _check_numbers(instance.array, computed)
    new_semantic = semantic or computed.semantic
    if instance is None:
        kept = np.where(new_semantic.array > 0, computed.instance.array, 0)
        new_instance = computed.instance.with_array(kept)
    else:
        new_instance = instance
    check_labels(new_semantic.array, new_instance.array)
    if new_semantic.array.any() and np.array_equal(new_semantic.array, new_instance.array):
        raise ScanRefused(
            "mask_labels", "Both masks hold the same; is one file named as semantic and instance?"
        )
    _, labels = spine_of(grid, new_semantic, new_instance)
    matches = _matches(labels, new_instance.array, computed)
    naming = Naming(_named(labels, matches), computed.naming)
    positions = [match["index"] if match else None for match in matches]
    _check_kept(decisions, positions)
    entries = [
        entry | {"position": position}
        for entry, position in zip(level_entries(naming), positions, strict=True)
    ]
    numbers = renumbered(new_instance.array, labels, naming)
    return LabelResult(new_semantic, new_instance.with_array(numbers), entries, naming.facts)


def removed_positions(computed: LabelResult, instance: Volume) -> set[int]:
    """Positions in `computed` of the vertebrae that an edited mask of vertebrae lacks.

    Raises
    ------
    ScanRefused
        ``mask_grid``, if it is not a mask of this scan.
    """
    new = on_grid(instance, computed.instance, "corrected instance").array
    labels = [int(label) for label in fastremap.unique(new) if is_vertebra(int(label))]
    known = [entry["label"] for entry in computed.levels]
    there = set(_overlaps(labels, new, computed.instance.array, known).values())
    return {entry["index"] for entry in computed.levels if entry["label"] not in there}


def _check_numbers(instance: np.ndarray, computed: LabelResult) -> None:
    """Refuse numbers that are neither levels nor of the delivered mask, and lone voxels."""
    found, counts = fastremap.unique(instance, return_counts=True)
    sizes = dict(zip(found.tolist(), counts.tolist(), strict=True))
    known = {*levels(), *fastremap.unique(computed.instance.array).tolist()}
    known |= {label for label, _ in computed.naming.get(COMPUTED, ())}
    known |= {offset + n for offset in (DISC_OFFSET, ENDPLATE_OFFSET) for n in [*known] if n < 100}
    if unknown := sorted(set(sizes) - known - {0}):
        raise ScanRefused(
            "mask_labels",
            f"The corrected instance mask holds numbers that are neither levels nor in the "
            f"delivered mask: {_told(unknown, sizes, instance)}.",
        )
    vertebrae = {n: size for n, size in sizes.items() if is_vertebra(n)}
    old = set(fastremap.unique(computed.instance.array).tolist())
    if not vertebrae:
        return
    least = MIN_BODY_RATIO * float(np.median(list(vertebrae.values())))
    if specks := sorted(n for n, size in vertebrae.items() if size < least and n not in old):
        raise ScanRefused(
            "mask_labels",
            "The corrected instance mask has a new vertebra that is too small to be one: "
            f"{_told(specks, sizes, instance)}.",
        )


def _told(numbers: Sequence[int], sizes: dict[int, int], instance: np.ndarray) -> str:
    """Numbers with their size, and where the first one lies."""
    told = ", ".join(f"{n} ({sizes[n]} voxels)" for n in numbers[:5])
    first = tuple(int(i) for i in np.argwhere(instance == numbers[0])[0])
    return f"{told}; {numbers[0]} begins at voxel {first}"


def _matches(
    labels: Sequence[int], instance: np.ndarray, computed: LabelResult
) -> list[dict[str, Any] | None]:
    """The entry of `computed` for each vertebra of an edited mask that still has its number.

    Its number is that of `computed`, or the one it had before the decisions.
    """
    entries = {entry["label"]: entry for entry in computed.levels}
    before = computed.naming.get(COMPUTED) or [[e["label"], None] for e in computed.levels]
    numbers = {
        entry["label"]: (entry["label"], label)
        for entry, (label, _) in zip(computed.levels, before, strict=True)
    }
    over = _overlaps(labels, instance, computed.instance.array, list(entries))
    return [
        entries[over[label]] if label in over and label in numbers[over[label]] else None
        for label in labels
    ]


def _named(labels: Sequence[int], matches: Sequence[dict[str, Any] | None]) -> list[NamedInstance]:
    """Names of the vertebrae of an edited mask, from the top."""
    named = [
        _by_number(place, label) if match is None else _as_before(place, match)
        for place, (label, match) in enumerate(zip(labels, matches, strict=True), start=1)
    ]
    _check_unique(named)
    return named


def _by_number(place: int, label: int) -> NamedInstance:
    level = levels().get(label)
    if level is None:
        return NamedInstance(place, label, None)
    return NamedInstance(place, label, level.name, REVIEWED, 1.0, {level.name: 1.0})


def _as_before(place: int, entry: dict[str, Any]) -> NamedInstance:
    return NamedInstance(
        place,
        entry["label"],
        entry["level"],
        entry["level_anchor"],
        entry["level_confidence"],
        entry["posterior"],
        entry["is_fragment"],
    )


def _overlaps(
    labels: Sequence[int], new: np.ndarray, old: np.ndarray, known: Sequence[int]
) -> dict[int, int]:
    """Number in the edited mask -> that of the computed vertebra that it lies on most."""
    both = np.isin(new, labels) & np.isin(old, known)
    pairs, counts = np.unique(new[both].astype(np.int64) * BASE + old[both], return_counts=True)
    ordered = sorted(zip(counts.tolist(), pairs.tolist(), strict=True))
    return {pair // BASE: pair % BASE for _, pair in ordered}


def _check_unique(named: Sequence[NamedInstance]) -> None:
    numbers = [n.label for n in named]
    for n in named:
        if numbers.count(n.label) > 1:
            what = n.level or f"number {n.label}"
            raise refused(f"two vertebrae of the corrected instance mask would be {what}")


def _check_kept(decisions: LevelDecisions | None, positions: Sequence[int | None]) -> None:
    for position, name in decisions.names.items() if decisions else ():
        if position not in positions:
            raise refused(
                f"vertebra {position} from the top is decided to be {name}, and is not in the "
                "corrected instance mask"
            )
