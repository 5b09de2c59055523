"""Whether a scan was stitched from stations, and where its seams lie (docs/method.md#stations).

A composed image says so in its sidecar. Besides, stations rarely cover the same rectangle, so the
part of the image that holds signal steps at a seam: from one row to the next it begins or ends
somewhere else, and stays there. Steps of brightness are no evidence: coils make them, too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from columna.images.intensity import signal_range
from columna.images.volume import Volume
from columna.prepare.slices import anatomical_axes

COMPOSED = "COMP"
"""How an entry of ``ImageType`` begins that says so (COMPOSED, COMP_SP, COMP_AD)."""
LEAST_STEP_MM = 3.0
"""Smaller steps of the signal's edge are noise of its border."""
STEADY_MM = 20.0
"""On both sides of a seam the edge keeps its place for at least this long."""


def station_facts(volume: Volume, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """is_stitched, n_stations_n and stitch_si_mm, by column name of the table ``scans``.

    Unknown values are None: where nothing steps, the seams of a composed image cannot be told,
    and an image whose sidecar says nothing may still be composed.

    Parameters
    ----------
    volume
        The scan.
    sidecar
        Its BIDS sidecar; only ``ImageType`` is looked at.
    """
    seams = seams_si_mm(volume)
    if seams:
        text = ";".join(f"{round(round(position, 6), 1) + 0.0:.1f}" for position in seams)
        return {"is_stitched": True, "n_stations_n": len(seams) + 1, "stitch_si_mm": text}
    is_composed = _says_composed(sidecar.get("ImageType"))
    if is_composed is False:
        return {"is_stitched": False, "n_stations_n": 1, "stitch_si_mm": ""}
    return {"is_stitched": is_composed, "n_stations_n": None, "stitch_si_mm": None}


def _says_composed(image_type: Any) -> bool | None:
    words = [str(word).upper() for word in image_type] if isinstance(image_type, list) else []
    if any(word.startswith(COMPOSED) for word in words):
        return True
    return False if "ORIGINAL" in words else None


def seams_si_mm(volume: Volume) -> list[float]:
    """World S coordinates (mm, at the centre of the image) of the seams, from the top down."""
    lr, ap, si = anatomical_axes(volume.affine)
    array = volume.array.transpose(si, ap, lr)
    spacing_si, spacing_ap = volume.spacing_mm[si], volume.spacing_mm[ap]
    rows = np.count_nonzero(signal_range(array).is_signal(array), axis=2) > 1
    if not rows.any(axis=1).all():
        return []  # empty rows are padding, and interrupt what could be followed
    edges = np.stack([rows.argmax(axis=1), rows.shape[1] - rows[:, ::-1].argmax(axis=1)])
    least = max(2, round(LEAST_STEP_MM / spacing_ap))
    steady = max(3, round(STEADY_MM / spacing_si))
    places = [
        place
        for place in np.flatnonzero((np.abs(np.diff(edges, axis=1)) >= least).any(axis=0)) + 1
        if _is_steady(edges[:, max(place - steady, 0) : place], steady)
        and _is_steady(edges[:, place : place + steady], steady)
    ]
    centre = (np.array(volume.shape) - 1) / 2
    positions = []
    for place in places:
        index = centre.copy()
        index[si] = place - 0.5
        positions.append(float(volume.affine[2, :3] @ index + volume.affine[2, 3]))
    return sorted(positions, reverse=True)


def _is_steady(edges: np.ndarray, length: int) -> bool:
    """Whether both edges keep their place, to one voxel, over `length` rows."""
    return edges.shape[1] == length and int(np.ptp(edges, axis=1).max()) <= 1
