"""Which way the slices of an image lie, from spacing and affine alone."""

import numpy as np
from nibabel.orientations import io_orientation

from columna.images.triple import three

NEAR_ISOTROPIC = 1.5
"""Voxels are those of one volume, not of a stack of slices, if none of their sides is so much
longer than both others: volumes are acquired in any plane, and read in any other."""
FLOOR_MM = 1.0
"""Finer spacings count as this (docs/method.md#slices)."""

PLANES = ("sagittal", "coronal", "axial")
"""Plane whose slices are stacked along L/R, A/P and S/I."""


def anatomical_axes(affine: np.ndarray) -> tuple[int, int, int]:
    """Array axes that run along L/R, A/P and S/I."""
    world = io_orientation(affine)[:, 0]
    return three(int(axis) for axis in np.argsort(world))


def edges_mm(affine: np.ndarray) -> np.ndarray:
    """Distance of neighbouring voxels along each array axis, shape (3,)."""
    return np.linalg.norm(affine[:3, :3], axis=0)


def spacing_mm(affine: np.ndarray) -> np.ndarray:
    """Voxel size along each array axis, shape (3,).

    Inside the sagittal slices it is the distance of neighbouring voxels, across them the distance
    of neighbouring slices. Where the voxel axes are orthogonal that is the same thing; where they
    are sheared (each slice moved against the one before) the slices lie closer together than
    voxels that follow each other along the array axis.
    """
    sizes = edges_mm(affine)
    across = anatomical_axes(affine)[0]
    sizes[across] = 1 / np.linalg.norm(np.linalg.inv(affine[:3, :3])[across])
    return sizes


def shear_deg(affine: np.ndarray) -> float:
    """How far the angle between two voxel axes is from 90 degrees, at most."""
    directions = affine[:3, :3] / edges_mm(affine)
    cosines = np.abs(np.triu(directions.T @ directions, 1))
    return float(np.degrees(np.arcsin(min(cosines.max(), 1.0))))


def slice_axis(sizes_mm: np.ndarray) -> int | None:
    """Array axis along which slices are stacked: the one that is clearly the coarsest.

    None where there is no such axis; a scan is then near-isotropic and counts as one volume.
    """
    floored = np.maximum(sizes_mm, FLOOR_MM)
    coarse = np.flatnonzero(floored * NEAR_ISOTROPIC * 1.001 > floored.max())
    return int(np.argmax(floored)) if len(coarse) == 1 else None


def normal_angles_deg(affine: np.ndarray, axis: int) -> np.ndarray:
    """Angles between the normal of the slices along `axis` and L/R, A/P, S/I; shape (3,)."""
    normal = np.linalg.inv(affine[:3, :3])[axis]
    return _angle_deg(np.abs(normal) / np.linalg.norm(normal))


def obliquity_deg(affine: np.ndarray) -> float:
    """Largest angle between a voxel axis and its anatomical axis (docs/method.md#slices)."""
    directions = affine[:3, :3] / edges_mm(affine)
    axes = list(anatomical_axes(affine))
    return float(_angle_deg(np.abs(np.diag(directions[:, axes]))).max())


def _angle_deg(cosine: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, 0, 1)))
