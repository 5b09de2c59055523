"""What the tables say of an input scan: geometry, identity (docs/method.md#facts-of-a-scan)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from columna.images.intensity import imaged_box
from columna.images.volume import Volume
from columna.prepare import slices
from columna.prepare.header import Header
from columna.prepare.modality import acquisition_facts
from columna.prepare.stations import station_facts
from columna.prepare.transforms import transform_facts

AXIS_NAMES = ("lr", "ap", "si")


def scan_facts(
    volume: Volume, header: Header, path: Path, sidecar: Mapping[str, Any]
) -> dict[str, Any]:
    """All facts of a scan, by column name of the table ``scans``; unknown ones are None."""
    return {
        **acquisition_facts(path, sidecar),
        **geometry_facts(volume),
        **transform_facts(header),
        **station_facts(volume, sidecar),
        "support_fraction_ratio": support_fraction(volume.array),
        "input_sha256": input_sha256(volume),
    }


def geometry_facts(volume: Volume) -> dict[str, int | float]:
    """Size, spacing and extent along the anatomical axes, obliquity and shear."""
    affine = volume.affine
    facts: dict[str, int | float] = {
        "obliquity_deg": round(slices.obliquity_deg(affine), 4),
        "shear_deg": round(slices.shear_deg(affine), 4),
    }
    sizes_mm = slices.spacing_mm(affine)
    for name, axis in zip(AXIS_NAMES, slices.anatomical_axes(affine), strict=True):
        spacing = round(float(sizes_mm[axis]), 6)
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
    digest.update((volume.affine + 0.0).astype(np.float32).data)  # + 0.0 turns -0.0 into 0.0
    digest.update(np.ascontiguousarray(volume.array.T).data)
    return digest.hexdigest()
