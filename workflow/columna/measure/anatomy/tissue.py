"""Signal of structures, and of the fluid near them (docs/measures.md#g14)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from columna.images.volume import Volume
from columna.measure.anatomy.band import through_plane_axis
from columna.measure.anatomy.geometry import Geometry
from columna.measure.tools.crops import Crop, image_under
from columna.tables.finish import Missing

LEAST_VOXELS = 20
FLUID_REACH_MM = 15.0
"""Fluid so far along the curve from a structure is its reference."""
FLUID_MODE = (0.75, 0.95)
"""Quantiles between which the mean is the robust upper mode of the fluid."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """The image of a scan, read through its structures.

    Parameters
    ----------
    image
        The input image.
    geometry
        Geometry of the scan.
    fluid_u, fluid_values
        Fluid of the canal: place along the curve in mm, ascending, and signal, shape (n,) each.
    """

    image: Volume
    geometry: Geometry
    fluid_u: np.ndarray
    fluid_values: np.ndarray

    @classmethod
    def of(cls, image: Volume | None, geometry: Geometry) -> "Tissue | None":
        """Prepare the fluid; None without an image."""
        if image is None:
            return None
        fluid = _fluid(geometry)
        if fluid is None or geometry.curve is None:
            return cls(image, geometry, np.zeros(0), np.zeros(0))
        u = geometry.curve.nearest(fluid.points_mm)
        order = np.argsort(u, kind="stable")
        values = image_under(image, fluid)[fluid.mask]
        return cls(image, geometry, u[order], values[order])

    def inside(self, crop: Crop) -> np.ndarray | None:
        """Signal within a structure without its outermost voxels, ascending; None with too few."""
        core = crop.with_mask(eroded_in_plane(crop))
        if np.count_nonzero(core.mask) < LEAST_VOXELS:
            return None
        return np.sort(image_under(self.image, core)[core.mask]).astype(float)

    def fluid_near(self, crop: Crop) -> float | None:
        """Signal of the fluid around a structure: robust upper mode; None with too little.

        It may be negative, where an image is: `ratio` sees to that.
        """
        if self.geometry.curve is None or not len(self.fluid_u):
            return None
        u = float(self.geometry.curve.nearest(crop.centroid_mm))
        low, high = np.searchsorted(self.fluid_u, [u - FLUID_REACH_MM, u + FLUID_REACH_MM])
        values = np.sort(self.fluid_values[low:high])
        if len(values) < LEAST_VOXELS:
            return None
        ends = np.quantile(values, FLUID_MODE)
        return float(values[(values >= ends[0]) & (values <= ends[1])].mean(dtype=float))


def ratio(signal: float, reference: float | None) -> float | Missing:
    """Signal over that of a reference, neither of which may be negative, or why there is none."""
    if reference is None:
        return Missing("neighbour_missing")
    if signal < 0 or reference <= 0:
        return Missing("not_positive")
    return signal / reference


def eroded_in_plane(crop: Crop) -> np.ndarray:
    """The mask of `crop` without the voxels at its border within slices (never across them)."""
    return ndimage.binary_erosion(crop.mask, _cross(crop.affine))


def _cross(affine: np.ndarray) -> np.ndarray:
    """A voxel and its four neighbours in the same slice, shape (3, 3, 3)."""
    cross = ndimage.generate_binary_structure(3, 1)
    np.moveaxis(cross, through_plane_axis(affine), 0)[[0, 2]] = False
    return cross


def _fluid(geometry: Geometry) -> Crop | None:
    """The canal without the cord and the voxels next to it in the same slice."""
    canal, cord = geometry.canal, geometry.cord
    if canal is None:
        return None
    if cord is None:
        return canal
    within = np.zeros_like(canal.mask)
    start = np.round(np.linalg.inv(canal.affine) @ cord.affine[:, 3]).astype(int)[:3]
    within[tuple(slice(s, s + n) for s, n in zip(start, cord.mask.shape, strict=True))] = cord.mask
    return canal.with_mask(canal.mask & ~ndimage.binary_dilation(within, _cross(canal.affine)))
