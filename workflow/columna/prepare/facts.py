"""What the tables say of an input scan (morphometrics 5.1): geometry, identity, known facts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from columna.intensity import imaged_box
from columna.prepare.geometry import anatomical_axes, obliquity_deg
from columna.prepare.modality import name_facts, says_mr, sidecar_facts
from columna.prepare.stations import station_facts
from columna.volume import Volume

AXIS_NAMES = ("lr", "ap", "si")


def scan_facts(volume: Volume, path: Path, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """All facts of a scan, by column name of the table ``scans``; unknown ones are None."""
    named = name_facts(path)
    if named["modality"] is None and says_mr(path, sidecar):
        named["modality"] = "MR"
    return {
        **named,
        **sidecar_facts(sidecar),
        **geometry_facts(volume),
        **station_facts(volume, sidecar),
        "support_fraction_ratio": support_fraction(volume.array),
        "input_sha256": input_sha256(volume),
    }


def geometry_facts(volume: Volume) -> dict[str, int | float]:
    """Size, spacing and extent along the anatomical axes, and obliquity."""
    facts: dict[str, int | float] = {"obliquity_deg": round(obliquity_deg(volume.affine), 4)}
    for name, axis in zip(AXIS_NAMES, anatomical_axes(volume.affine), strict=True):
        spacing = round(float(volume.spacing_mm[axis]), 6)
        facts[f"dim_{name}_n"] = volume.shape[axis]
        facts[f"spacing_{name}_mm"] = spacing
        facts[f"fov_{name}_mm"] = round(volume.shape[axis] * spacing, 6)
    return facts


def support_fraction(array: np.ndarray) -> float:
    """Share of the image inside the box that was imaged, without the padding around it."""
    return float(np.prod([s.stop - s.start for s in imaged_box(array)]) / array.size)


def input_sha256(volume: Volume) -> str:
    """SHA-256 of voxels, their type, shape and affine; the header does not count.

    Equal for the same image stored packed, unpacked, as NIfTI-1 or NIfTI-2 (whose affines differ
    in precision, so single precision counts).
    """
    digest = hashlib.sha256(f"{volume.array.dtype.name} {volume.shape}".encode())
    digest.update((volume.affine + 0.0).astype(np.float32))  # + 0.0 turns -0.0 into 0.0
    digest.update(np.ascontiguousarray(volume.array.T))
    return digest.hexdigest()
