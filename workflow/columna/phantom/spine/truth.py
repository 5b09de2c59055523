"""The truth of a phantom as numbers."""

from typing import Any

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.images.volume import Volume
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.course import PhantomSpine, PhantomVertebra


def describe(
    settings: PhantomSettings, spine: PhantomSpine, semantic: Volume, instance: Volume
) -> dict[str, Any]:
    """Settings, and what is true of every vertebra, as JSON-ready values.

    Heights exclude the endplates, as label 49 does. `visible_fraction` is the share of the
    body's centre line (upper to lower surface) inside the field of view.
    """
    return {
        "settings": settings.model_dump(mode="json"),
        "levels": [_level(v, settings, instance) for v in spine.chain],
        "semantic_volumes_mm3": _volumes(semantic),
        "instance_volumes_mm3": _volumes(instance),
    }


def _level(
    vertebra: PhantomVertebra, settings: PhantomSettings, instance: Volume
) -> dict[str, Any]:
    body, sacral = vertebra.body, vertebra.label == SACRUM
    plates = settings.endplate_mm * (1 if sacral else 2)
    up = vertebra.frame[:3, 2]
    row: dict[str, Any] = {
        "label": vertebra.label,
        "level": levels()[vertebra.label].name,
        "centre_ras_mm": _rounded(vertebra.frame[:3, 3]),
        "axis_ras": _rounded(up, 6),
        "axis_sagittal_deg": round(float(np.rad2deg(np.arctan2(up[1], up[2]))), 4),
        "canal_centre_ras_mm": _rounded(vertebra.to_world(vertebra.canal_centre)),
        "canal_ap_mm": round(vertebra.sizes.canal_ap, 4),
        "canal_rl_mm": round(vertebra.sizes.canal_rl, 4),
        "visible_fraction": _visible_fraction(vertebra, instance),
    }
    if not sacral:
        quarter = 0.36 * body.depth
        row |= {
            "depth_mm": round(body.depth, 4),
            "width_mm": round(body.width, 4),
            "wedge_angle_deg": round(body.wedge_deg, 4),
            "height_anterior_mm": round(body.height_at(quarter) - plates, 4),
            "height_middle_mm": round(body.height_at(0.0) - plates, 4),
            "height_posterior_mm": round(body.height_at(-quarter) - plates, 4),
        }
    return row


def _visible_fraction(vertebra: PhantomVertebra, grid: Volume) -> float:
    heights = np.linspace(-0.5, 0.5, 41) * vertebra.body.height
    points = np.array([vertebra.to_world(np.array([0, 0, h])) for h in heights])
    voxels = (points - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    inside = ((voxels > -0.5) & (voxels < np.array(grid.shape) - 0.5)).all(axis=1)
    return round(float(inside.mean()), 3)


def _volumes(mask: Volume) -> dict[str, float]:
    counts = np.bincount(mask.array.ravel())
    return {
        str(label): round(float(counts[label]) * mask.voxel_volume_mm3, 3)
        for label in np.flatnonzero(counts)
        if label
    }


def _rounded(values: np.ndarray, digits: int = 4) -> list[float]:
    return [round(float(v), digits) for v in values]
