"""What a cut at the left or right side leaves of a structure (docs/measures.md#g15).

The slices of many scans do not reach the sides of the spine. What lies in the sagittal plane can
be measured all the same, on the part that is seen on both sides of the middle. The middle is that
of the spinal canal: the middle of what is seen of a body moves away with every slice that lacks.
"""

from dataclasses import replace

import numpy as np

from columna.measure.tools.crops import Crop

LEAST_DEPTHS = 0.35
"""The part on both sides of the middle is at least so wide, in depths of the structure.

That is 0.26 to 0.33 of the width of a body; below, fits fail and errors grow (docs/accuracy.md)."""
_SLAB_MM = 5.0
_REACH_MM = 60.0
_LEAST_SLICES = 4


def canal_behind(origin: np.ndarray, s: np.ndarray, canal_mm: np.ndarray) -> np.ndarray | None:
    """Centroid of the canal at the height of `origin`, RAS+ mm, shape (3,); None without any.

    Parameters
    ----------
    origin
        A place, RAS+ mm, shape (3,).
    s
        The spine's cranial direction there, unit vector, shape (3,).
    canal_mm
        Voxel centres of the canal, RAS+ mm, shape (n, 3).
    """
    near = _canal_near(origin, s, canal_mm)
    return near.mean(axis=0) if len(near) else None


def _canal_near(origin: np.ndarray, s: np.ndarray, canal_mm: np.ndarray) -> np.ndarray:
    """The part of the canal at the height of `origin`, shape (k, 3)."""
    offset = canal_mm - origin
    is_near = np.abs(offset @ s) <= _SLAB_MM
    is_near[is_near] = (offset[is_near] ** 2).sum(axis=1) <= _REACH_MM**2
    return canal_mm[is_near]


def _deepest(slices: np.ndarray) -> float:
    """Where a tube is deepest, from the slice of each of its voxels, shape (n,).

    The centroid of a tube that is cut at a side itself lies away from its middle. Squared depths
    of an ellipse are a parabola over the slices, whose vertex is the middle whatever is seen.
    """
    place, count = np.unique(np.round(slices), return_counts=True)
    middle = float(slices.mean())
    if len(place) < _LEAST_SLICES:
        return middle
    bend, slope, _ = np.polyfit(place - middle, count.astype(float) ** 2, 2)
    if bend >= 0:  # no tube that is deepest anywhere
        return middle
    return middle + float(np.clip(-slope / (2 * bend), *(place[[0, -1]] - middle)))


def middle_width_mm(crop: Crop) -> float:
    """Width of what `middle_part` kept of a structure, across its slices."""
    if crop.known_slices is None:
        raise ValueError("the structure is not cut off at a side")
    first, last = crop.known_slices
    return (last - first + 1) * float(np.linalg.norm(crop.affine[:3, 0]))


def middle_part(crop: Crop, s: np.ndarray, canal_mm: np.ndarray) -> Crop | None:
    """Keep the slices that are seen as far to the left of the middle as to the right.

    Parameters
    ----------
    crop
        A structure.
    s
        The spine's cranial direction at its height, unit vector, shape (3,).
    canal_mm
        Voxel centres of the canal, RAS+ mm, shape (n, 3).

    Returns
    -------
    Crop or None
        The structure with `Crop.known_slices`; None where the middle is not seen or not known.
    """
    behind = _canal_near(crop.centroid_mm, s, canal_mm)
    if not len(behind):
        return None
    to_index = np.linalg.inv(crop.affine)[0]
    middle = _deepest(behind @ to_index[:3] + to_index[3])
    seen = np.flatnonzero(crop.mask.any(axis=(1, 2)))
    reach = min(middle - (seen[0] - 0.5), seen[-1] + 0.5 - middle)
    # slices whose middle is near enough; noise of the last bits must not decide on one
    first = max(int(np.ceil(round(middle - reach, 6))), int(seen[0]))
    last = min(int(np.floor(round(middle + reach, 6))), int(seen[-1]))
    if last < first:
        return None
    mask = np.zeros_like(crop.mask)
    mask[first : last + 1] = crop.mask[first : last + 1]
    return replace(crop, mask=mask, known_slices=(first, last)) if mask.any() else None
