"""Rows of the table `structures`: every label of both masks."""

from collections.abc import Callable, Mapping

from columna.anatomy import DISC_OFFSET, SACRUM, levels, semantic_names
from columna.images.volume import Volume, bounding_box
from columna.label.kinds import instance_kind
from columna.measure.anatomy.fov import FieldOfView
from columna.measure.context import MeasureContext
from columna.measure.tools.crops import box_around, cut
from columna.measure.tools.mesh import mesh_volume_mm3
from columna.measure.tools.regions import LabelledRuns, Region
from columna.measure.tools.signal import signals
from columna.measure.tools.topology import topology
from columna.tables.common import FACES
from columna.tables.finish import finish_row
from columna.tables.schema import Row
from columna.tables.structures import STRUCTURES

_NO_MESH = {"volume_mesh_status": "disabled"}


def structure_rows(
    context: MeasureContext,
    mask: str,
    voxels: LabelledRuns,
    regions: dict[int, Region],
    fov: FieldOfView,
    *,
    has_mesh: bool = False,
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
    has_mesh
        Whether volumes within surfaces are wanted.
    """
    volume: Volume = getattr(context, mask)
    box = bounding_box(volume.array)
    shapes = topology(volume.array[box]) if box else {}
    signal: Mapping[int, Row] = signals(voxels, context.image.array) if context.image else {}
    confidence = context.confidence if mask == "semantic" else _by_instance(context)
    # given masks come without the network's answer, and some voxels are not of its choice
    lack: Row = {"confidence_status": "not_recorded"}
    name = _semantic_entry if mask == "semantic" else _instance_namer(context)
    return [
        finish_row(
            STRUCTURES,
            context.identity
            | {"mask": mask, "label": label}
            | name(label)
            | region_columns(region, volume.voxel_volume_mm3, fov)
            | vars(shapes[label])
            | (_mesh_columns(volume, label, region) if has_mesh else _NO_MESH)
            | signal.get(label, {"signal_status": "no_image"})
            | dict(confidence.get(label) or lack)
            | {"fold_dice_status": "not_recorded"},
        )
        for label, region in regions.items()
    ]


def _by_instance(context: MeasureContext) -> Mapping[int, Mapping[str, float]]:
    return {} if context.certainty is None else context.certainty.by_instance()


def _mesh_columns(volume: Volume, label: int, region: Region) -> Row:
    part = cut(volume, box_around([region], volume))
    return {"volume_mesh_mm3": mesh_volume_mm3(part.array == label, volume.voxel_volume_mm3)}


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
    return {
        "structure": semantic_names().get(label, "unknown"),
        "level_status": "not_applicable",
    }


def _instance_namer(context: MeasureContext) -> Callable[[int], Row]:
    """Make the function that names instance labels, by the scan's own naming of levels."""
    named: dict[int, str | None] = {v.label: v.level for v in context.vertebrae}
    orders = {level.name: level.level_order for level in levels().values()}
    if any(named.values()):
        # the disc above the topmost vertebra is called by a level that is not seen
        named = {**{label: level.name for label, level in levels().items()}, **named}
    named[SACRUM] = levels()[SACRUM].name

    def entry(label: int) -> Row:
        kind = "fragment" if label in context.fragments else instance_kind(label)
        if kind in ("metal", "unknown", "fragment"):
            lack = "fragment" if kind == "fragment" else "not_applicable"
            return {"structure": kind, "level_status": lack}
        level = named.get(label % DISC_OFFSET)
        if level is None:
            return {"structure": kind, "level_status": "no_anchor"}
        return {"structure": kind, "level": level, "level_order": orders[level]}

    return entry
