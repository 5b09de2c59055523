"""Rows of the table `structures`: every label of both masks."""

from collections.abc import Mapping
from typing import Any

from columna.anatomy import (
    DISC_OFFSET,
    ENDPLATE_OFFSET,
    SACRUM,
    Semantic,
    level_order,
    levels,
    semantic_names,
)
from columna.measure.context import MeasureContext
from columna.measure.fov import FieldOfView
from columna.measure.regions import LabelledRuns, Region
from columna.measure.signal import signals
from columna.measure.topology import topology
from columna.tables.common import FACES
from columna.tables.rows import finish_row
from columna.tables.structures import STRUCTURES
from columna.volume import Volume, bounding_box

Row = dict[str, Any]


def structure_rows(
    context: MeasureContext,
    mask: str,
    voxels: LabelledRuns,
    regions: dict[int, Region],
    fov: FieldOfView,
) -> list[Row]:
    """Measure every label of one mask.

    Parameters
    ----------
    context
        The scan.
    mask
        ``semantic`` or ``instance``.
    voxels, regions
        Its labelled voxels, and their regions.
    fov
        The field of view.
    """
    volume: Volume = getattr(context, mask)
    box = bounding_box(volume.array)
    shapes = topology(volume.array[box]) if box else {}
    signal = signals(voxels, context.image.array) if context.image else {}
    confidence = context.confidence if mask == "semantic" else {}
    name = _semantic_entry if mask == "semantic" else _instance_namer(context)
    return [
        finish_row(
            STRUCTURES,
            context.identity
            | {"mask": mask, "label": label}
            | name(label)
            | region_columns(region, volume.voxel_volume_mm3, fov)
            | vars(shapes[label])
            | signal.get(label, {})
            | dict(confidence.get(label, {})),
        )
        for label, region in regions.items()
    ]


def region_columns(region: Region, voxel_volume_mm3: float, fov: FieldOfView) -> Row:
    """Size, place and contact with the field of view of a region, as columns."""
    touched = fov.faces(region)
    return {
        "voxels_n": region.voxels_n,
        "volume_mm3": region.voxels_n * voxel_volume_mm3,
        **{f"centroid_{a}_mm": v for a, v in zip("ras", region.centroid_mm, strict=True)},
        **dict(
            zip(
                ("extent_lr_mm", "extent_ap_mm", "extent_si_mm"),
                region.extent_mm,
                strict=True,
            )
        ),
        **{f"touches_{name}": letter in touched for letter, name in FACES.items()},
    }


def _semantic_entry(label: int) -> Row:
    return {"structure": semantic_names().get(label, "unknown")}


def _instance_namer(context: MeasureContext):  # noqa: ANN202 - a function label -> columns
    """Name instance labels: structure, and the level that the scan's naming gives them."""
    named = {v.label: v.level for v in context.vertebrae}
    is_named = any(named.values())

    def entry(label: int) -> Row:
        structure, vertebra = _kind(label)
        level = named.get(vertebra) if vertebra is not None else None
        if vertebra == SACRUM and structure == "sacrum":
            level = levels()[SACRUM].name
        elif vertebra not in named and is_named and vertebra in levels():
            # the disc above the topmost vertebra is called by the level that is not seen
            level = levels()[vertebra].name
        order = _orders().get(level) if level else None
        return {"structure": structure, "level": level, "level_order": order}

    return entry


def _kind(label: int) -> tuple[str, int | None]:
    """Structure and vertebra that an instance label stands for."""
    if label == SACRUM:
        return "sacrum", SACRUM
    if label in levels():
        return "vertebra", label
    if label == Semantic.METAL:
        return "metal", None
    for offset, structure in ((DISC_OFFSET, "disc"), (ENDPLATE_OFFSET, "endplate_pair")):
        if label - offset in levels():
            return structure, label - offset
    return "unknown", None


def _orders() -> Mapping[str, int]:
    return {entry.name: level_order(label) for label, entry in levels().items()}
