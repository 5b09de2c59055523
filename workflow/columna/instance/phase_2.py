"""Phase 2: the semantic mask becomes vertebra instances."""

from typing import TYPE_CHECKING

import numpy as np

from columna.anatomy import Semantic
from columna.config import InstanceSettings
from columna.errors import ScanRefused
from columna.images.volume import PIR, Volume, bounding_box, resample_mask, smallest_unsigned
from columna.instance.centres import find_centres
from columna.instance.couples import find_couples
from columna.instance.merge import merge_couples
from columna.instance.windows import predict_parts

if TYPE_CHECKING:
    from columna.models.instance_network import InstanceModel

CROP_MARGIN_MM = 3.75
SMALLEST_PIECE_MM3 = 37.125
"""Lower bound of both cleaning thresholds."""


def segment_instances(
    semantic: Volume, model: "InstanceModel", settings: InstanceSettings
) -> Volume:
    """Separate the vertebrae of a semantic mask (docs/method.md#phase-2-vertebrae).

    Parameters
    ----------
    semantic
        Raw semantic mask, any orientation and voxel size.
    model
        The instance model.
    settings
        Batch size.

    Returns
    -------
    Volume
        Instances 1..n in no particular order, in (P, I, R) and the model's voxel size.

    Raises
    ------
    ScanRefused
        ``no_bodies`` if there is no vertebral body, ``no_instances`` if none can be separated.
    """
    mask = semantic.reoriented(PIR)
    mask = resample_mask(mask, model.grid.target_spacing_mm(mask.spacing_mm))
    if not (mask.array == Semantic.VERTEBRAL_BODY).any():
        raise ScanRefused("no_bodies", "The semantic mask holds no vertebral body.")
    box = bounding_box(mask.array, round(CROP_MARGIN_MM / mask.spacing_mm.min()))
    crop = np.ascontiguousarray(mask.array[box])
    centres = find_centres(
        crop, mask.spacing_mm, _min_voxels(model.config.corpus_size_cleaning, model, mask)
    )
    if not len(centres):
        raise ScanRefused("no_bodies", "No vertebral body is large enough to be told from noise.")
    at_once = max(settings.batch_size, model.windows_at_once)
    couples = find_couples(predict_parts(crop, centres, model, at_once))
    merged = merge_couples(
        couples, crop.shape, _min_voxels(model.config.vert_size_threshold, model, mask)
    )
    if not merged.any():
        raise ScanRefused("no_instances", "The instance network found no vertebra.")
    instances = np.zeros(mask.shape, smallest_unsigned(merged).dtype)
    instances[box] = merged
    return Volume(instances, mask.affine)


def _min_voxels(model_voxels: int, model: "InstanceModel", mask: Volume) -> int:
    """Convert a threshold in voxels of the model's (finest) grid to voxels of `mask`."""
    exact = model_voxels * float(np.prod(model.grid.minimum_mm)) / mask.voxel_volume_mm3
    least = max(round(SMALLEST_PIECE_MM3 / mask.voxel_volume_mm3), 1)
    # rounding error of the affine must not cost a voxel
    return max(int(round(exact, 6)), least)
