"""Whether the two transforms of a NIfTI header, sform and qform, say the same.

Programs differ in which one they go by (columna takes the sform, as nibabel does), so a header
whose transforms disagree has other sides, sizes or places elsewhere.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from columna.prepare.header import Header

ROUNDING = 0.0015
"""Share of the way from the first voxel by which rounding alone moves a place.

A qform stores three of the four numbers of a quaternion in single precision; the fourth, which
follows from them, is known to 0.0005 where it is near 0, and the angle to twice as much.
"""
_MIRROR = np.diag([-1.0, 1.0, 1.0])


def transform_facts(header: Header) -> dict[str, Any]:
    """Which transform counts, and how far the other one is from it.

    Parameters
    ----------
    header
        Of a scan that passed the checks: it has a transform.

    Returns
    -------
    dict
        Columns of the table ``scans``; None where only one of the two is valid.
    """
    sform, qform = header.sform, header.qform
    is_usable = qform is not None and _is_invertible(qform)
    facts: dict[str, Any] = {
        "affine_source": "qform" if sform is None else "sform",
        "is_qform_broken": header.is_qform_set and not is_usable,
    }
    if sform is None or qform is None or not is_usable:
        return facts
    change = sform[:3, :3] @ np.linalg.inv(qform[:3, :3])
    left, scales, right = np.linalg.svd(change)
    turn = left @ right
    is_mirrored = bool(np.linalg.det(turn) < 0)
    if is_mirrored:
        turn = turn @ _MIRROR
    return facts | {
        "qform_distance_mm": _distance_mm(sform, qform, header.shape),
        "is_qform_mirrored": is_mirrored,
        "qform_turn_deg": float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))),
        "qform_scale_ratio": float(max(scales.max(), 1 / scales.min())),
        "qform_shift_mm": float(np.linalg.norm(_places_mm(sform, qform, [_middle(header)]))),
    }


def _is_invertible(affine: np.ndarray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0)


def _middle(header: Header) -> np.ndarray:
    return (np.array(header.shape) - 1) / 2


def _distance_mm(sform: np.ndarray, qform: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Largest distance between both places of a corner, beyond what rounding explains."""
    corners = np.array(list(product(*((0, size - 1) for size in shape))), float)
    apart = np.linalg.norm(_places_mm(sform, qform, corners), axis=1)
    way = np.linalg.norm(corners @ sform[:3, :3].T, axis=1)
    return float(max((apart - ROUNDING * way).max(), 0))


def _places_mm(sform: np.ndarray, qform: np.ndarray, voxels: ArrayLike) -> np.ndarray:
    """Place by the sform minus place by the qform, shape (n, 3)."""
    difference = sform - qform
    return np.asarray(voxels) @ difference[:3, :3].T + difference[:3, 3]
