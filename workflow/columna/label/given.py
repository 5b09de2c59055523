"""Existing masks (earlier SPINEPS output, corrected masks) as final masks."""

from collections.abc import Sequence
from itertools import product

import fastremap
import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, Semantic, levels, semantic_names
from columna.config import LabelSettings
from columna.errors import ScanRefused
from columna.images.volume import PIR, Volume, bounding_box, resample_mask_like, smallest_unsigned
from columna.label.components import find_components
from columna.label.derived import level_above
from columna.label.final_masks import SPACES, level_entries
from columna.label.given_anchor import Anchor
from columna.label.kinds import instance_kind
from columna.label.naming import NamedInstance, Naming, namer_of
from columna.label.order import MAX_INSTANCES, order_instances
from columna.label.result import LabelResult
from columna.label.reviewed import put_right
from columna.label.seen_spine import SeenSpine
from columna.review.levels import LevelDecisions

GIVEN = "given"
"""The ``level_anchor`` of levels that were taken from the numbers of a given mask."""


def take_masks(
    grid: Volume,
    semantic: Volume,
    instance: Volume,
    settings: LabelSettings,
    anchor: Anchor | None = None,
    decisions: LevelDecisions | None = None,
) -> LabelResult:
    """Check given masks and bring them to the grid of the scan; no structure is changed.

    Parameters
    ----------
    grid
        The input scan; only shape and affine are used.
    semantic, instance
        SPINEPS labels: endplates as 62 or as 52 and 53, bodies as 49 and 50, any structure may be
        missing. On the grid of the scan, in any axis order, or on another grid of the same field
        of view (nearest voxels are taken then).
    settings
        Whether levels are what the instance numbers say, or named anew.
    anchor
        What the cohort sheet says of the levels; then they are named anew in any case.
    decisions
        What people have put right of these names.

    Raises
    ------
    ScanRefused
        ``mask_labels``, ``mask_grid``, ``bad_anchor`` or ``bad_correction``.
    """
    check_labels(semantic.array, instance.array)
    if semantic.array.any() and np.array_equal(semantic.array, instance.array):
        raise ScanRefused(
            "mask_labels", "Both masks hold the same; is one file given as semantic and instance?"
        )
    semantic = on_grid(semantic, grid, "semantic")
    instance = on_grid(instance, grid, "instance")
    spine, labels = spine_of(grid, semantic, instance)
    naming = namer_of(settings, anchor)(spine)
    if settings.given_levels == "keep" and anchor is None:
        naming = _kept(labels, naming)
        if decisions is None:
            return LabelResult(semantic, instance, level_entries(naming), naming.facts)
    if decisions is not None:
        naming = put_right(naming, decisions)
    named = instance.with_array(renumbered(instance.array, labels, naming))
    return LabelResult(semantic, named, level_entries(naming), naming.facts)


def check_labels(semantic: np.ndarray, instance: np.ndarray) -> None:
    """Raise ScanRefused unless all numbers are those of SPINEPS masks (``labels.tsv``)."""
    found = fastremap.unique(instance)
    unknown = {
        "semantic": set(fastremap.unique(semantic)) - {0, *semantic_names()},
        "instance": {label for label in found if label and instance_kind(int(label)) == "unknown"},
    }
    for mask, labels in unknown.items():
        if labels:
            first = ", ".join(str(int(label)) for label in sorted(labels)[:5])
            raise ScanRefused(
                "mask_labels", f"The {mask} mask holds numbers that are no SPINEPS labels: {first}."
            )
    count = sum(is_vertebra(label) for label in found)
    if count > MAX_INSTANCES:
        raise ScanRefused("mask_labels", f"The instance mask holds {count} vertebrae.")


def on_grid(mask: Volume, grid: Volume, name: str) -> Volume:
    """`mask` with the voxels of `grid`.

    Raises
    ------
    ScanRefused
        ``mask_grid``, if the two do not cover the same field of view.
    """
    apart_mm = _distance_mm(mask, grid)
    if apart_mm > max(mask.spacing_mm.max(), grid.spacing_mm.max()):
        raise ScanRefused(
            "mask_grid",
            f"The {name} mask and the scan do not cover the same space: their corners are up to "
            f"{apart_mm:.1f} mm apart. Is it the mask of this scan?",
        )
    return grid.with_array(smallest_unsigned(resample_mask_like(mask, grid).array))


def _distance_mm(one: Volume, other: Volume) -> float:
    """Largest distance between corners of the two fields of view, whole voxels included."""
    corners = [_corners(volume.reoriented(PIR)) for volume in (one, other)]
    return float(np.linalg.norm(corners[0] - corners[1], axis=1).max())


def _corners(volume: Volume) -> np.ndarray:
    """The eight corners of a field of view, RAS+ mm, shape (8, 3)."""
    ends = np.array(list(product(*((-0.5, size - 0.5) for size in volume.shape))))
    return ends @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def is_vertebra(label: int) -> bool:
    """Whether a number of an instance mask is that of a vertebra."""
    return bool(label) and instance_kind(int(label)) == "vertebra"


def spine_of(grid: Volume, semantic: Volume, instance: Volume) -> tuple[SeenSpine, list[int]]:
    """The spine as namers see it, and the label of its instances 1, 2, ... from the top.

    Parameters
    ----------
    grid
        The scan; only shape and affine are used.
    semantic, instance
        Final masks on this grid.
    """
    upright = grid.reoriented(PIR)
    structures, given = (mask.reoriented(PIR).array for mask in (semantic, instance))
    box = bounding_box((structures > 0) | (given > 0)) or (slice(0, 1),) * 3
    structures, given = (np.pad(mask[box], 1) for mask in (structures, given))
    structures[structures == Semantic.VERTEBRAL_BODY_INNER] = Semantic.VERTEBRAL_BODY
    vertebrae = [label for label in fastremap.unique(given) if is_vertebra(label)]
    given = np.where(np.isin(given, vertebrae), given, 0)
    ordered = order_instances(given)
    spaces = find_components(np.where(np.isin(structures, SPACES), structures, 0))
    label_of = fastremap.component_map(ordered, given)
    labels = [int(label_of[number]) for number in range(1, len(vertebrae) + 1)]
    return SeenSpine(structures, ordered, spaces, upright, box), labels


def _kept(labels: Sequence[int], naming: Naming) -> Naming:
    """Levels by the numbers of the mask; numbers that stand for no level have none."""
    known = {label: level.name for label, level in levels().items()}
    instances = [
        NamedInstance(
            place,
            label,
            known.get(label),
            GIVEN if label in known else "none",
            is_piece=label not in known and named.is_piece,
        )
        for place, (label, named) in enumerate(zip(labels, naming.instances, strict=True), 1)
    ]
    return Naming(instances, {"method": GIVEN, "status": GIVEN})


def renumbered(instance: np.ndarray, labels: Sequence[int], naming: Naming) -> np.ndarray:
    """Give vertebrae the numbers of `naming`, and discs and endplates those of their vertebrae.

    Parameters
    ----------
    instance
        A final mask.
    labels
        Number of its vertebrae from the top.
    naming
        Their new numbers.
    """
    new = {labels[named.instance - 1]: named.label for named in naming.instances}
    spaces = dict(new)
    vertebrae = [labels[n.instance - 1] for n in naming.instances if not n.is_piece]
    if vertebrae:  # disc and plates above the topmost one bear the number of the level above
        spaces.setdefault(level_above(vertebrae[0]), level_above(new[vertebrae[0]]))
    table = np.arange(max(int(instance.max(initial=0)), ENDPLATE_OFFSET + 100) + 1)
    for offset, numbers in ((0, new), (DISC_OFFSET, spaces), (ENDPLATE_OFFSET, spaces)):
        for old, number in numbers.items():
            table[offset + old] = offset + number
    return smallest_unsigned(table[instance])
