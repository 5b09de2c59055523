"""Sagittal and coronal angles of endplates (G7, G9, G12, G13 of docs/measures.md)."""

import numpy as np

from columna.measure.anatomy.frame import unit


def elevation_deg(direction: np.ndarray, right: np.ndarray) -> float:
    """How much an endplate's direction to anterior rises, in the sagittal plane of `right`.

    0 is horizontal for the scanner; differences do not depend on the scanner.

    Parameters
    ----------
    direction
        Along the endplate, to anterior, RAS+, shape (3,).
    right
        Unit normal of the plane that it is projected on, shape (3,).
    """
    anterior, superior = sagittal_axes(right)
    return float(np.rad2deg(np.arctan2(direction @ superior, direction @ anterior)))


def sagittal_axes(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anterior and superior unit vectors of the scanner, projected on the plane of `right`."""
    superior = np.array([0.0, 0.0, 1.0])
    superior = unit(superior - (superior @ right) * right)
    return np.cross(superior, right), superior


def tilt_deg(normal: np.ndarray, right: np.ndarray, superior: np.ndarray) -> float:
    """Coronal tilt of an endplate's cranial `normal`: positive = its right side is lower.

    `right` and `superior` are orthogonal unit vectors.
    """
    return float(np.rad2deg(np.arctan2(normal @ right, normal @ superior)))
