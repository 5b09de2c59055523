"""Measure one scan."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from columna.anatomy import SACRUM
from columna.config import MeasureSettings
from columna.images.volume import Volume, smallest_unsigned
from columna.label.evidence import MIN_SACRUM_MM3
from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.column import column_rows
from columna.measure.context import MeasureContext
from columna.measure.rows.endplates import endplate_rows
from columna.measure.rows.posterior import posterior_rows
from columna.measure.rows.scans import measured_scan_row
from columna.measure.rows.structures import structure_rows
from columna.measure.rows.vertebrae import vertebra_rows
from columna.measure.tools.regions import LabelledRuns, Region


def measure_scan(
    context: MeasureContext, settings: MeasureSettings
) -> dict[str, list[dict[str, Any]]]:
    """Make the rows of all measured tables of one scan.

    Parameters
    ----------
    context
        Masks, image and what earlier stages found out; all three on one grid.
    settings
        How near to the edge of the field of view a body counts as cut off.

    Returns
    -------
    dict
        Table -> complete rows (`columna.tables.finish.finish_row`). They do not depend on how the
        grid is stored (orientation, memory layout).

    Raises
    ------
    ValueError
        If the grids differ, or a vertebra of the instance mask has no entry in ``levels``.
    """
    context = _normalised(context)
    fov = FieldOfView.of(context.instance, context.image, settings.fov_margin_mm)
    affine = context.instance.affine
    semantic = LabelledRuns.of(context.semantic.array)
    instance = LabelledRuns.of(context.instance.array)
    regions = instance.regions(affine)
    kinds = semantic.regions(affine)
    anatomy = ScanAnatomy.of(context, fov, instance, regions, kinds)
    mesh = settings.mesh_volume
    has_sacrum = sees_sacrum(regions, context.instance.voxel_volume_mm3)
    vertebrae = vertebra_rows(anatomy, settings, has_sacrum=has_sacrum)
    return {
        "scans": [measured_scan_row(context, vertebrae, regions.keys(), has_sacrum)],
        "structures": [
            *structure_rows(context, "semantic", semantic, kinds, fov, has_mesh=mesh),
            *structure_rows(context, "instance", instance, regions, fov, has_mesh=mesh),
        ],
        "vertebrae": vertebrae,
        "endplates": endplate_rows(anatomy, vertebrae),
        **column_rows(anatomy, vertebrae),
        "level_posterior": posterior_rows(context, vertebrae),
    }


def sees_sacrum(regions: Mapping[int, Region], voxel_volume_mm3: float) -> bool:
    """Whether there is as much sacrum as naming asks for; less may be islands of the label."""
    sacrum = regions.get(SACRUM)
    return sacrum is not None and sacrum.voxels_n * voxel_volume_mm3 >= MIN_SACRUM_MM3


def _normalised(context: MeasureContext) -> MeasureContext:
    """Check the grids; store them in C order, which NIfTI data is not in, and masks small."""
    grids = [v for v in (context.semantic, context.instance, context.image) if v is not None]
    for grid in grids[1:]:
        if grid.shape != grids[0].shape or not np.allclose(grid.affine, grids[0].affine, atol=0.01):
            raise ValueError("masks and image are not on the same grid")
    turn = context.instance.array.flags.f_contiguous
    return replace(
        context,
        semantic=_stored(context.semantic, turn, smallest_unsigned),
        instance=_stored(context.instance, turn, smallest_unsigned),
        image=context.image and _stored(context.image, turn, np.asarray),
    )


def _stored(volume: Volume, turn: bool, cast: Callable[[np.ndarray], np.ndarray]) -> Volume:
    """The same voxels at the same places; with `turn`, array axes in reverse order."""
    array = cast(volume.array)
    return Volume(array.T, volume.affine[:, [2, 1, 0, 3]]) if turn else Volume(array, volume.affine)
