"""Parts of masks, cut out around one structure and stored the same way whatever the scan's axes.

All geometry starts from these copies, so that a scan gives bit-identical measures in each of the
48 orientations that it can be stored in.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import cc3d
import numpy as np

from columna.images.triple import three
from columna.images.volume import Box, Volume
from columna.measure.tools.regions import Region
from columna.measure.tools.sampling import Indicator

AXES = ("R", "A", "S")
"""Array axes of every crop run (nearly) to right, anterior and superior."""
_AFFINE_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class Crop:
    """A structure's voxels with what is around them.

    Parameters
    ----------
    mask
        Boolean, axes as `AXES`, C order.
    affine
        4x4, voxel index of `mask` to RAS+ mm.
    known_slices
        Of a structure that is cut off at a side: first and last index along R of the part that is
        seen on both sides of the middle (`columna.measure.anatomy.lateral`). None: all of it is
        seen.
    """

    mask: np.ndarray
    affine: np.ndarray
    known_slices: tuple[int, int] | None = None

    @property
    def is_lateral_cut(self) -> bool:
        """Whether it is the middle of a structure whose sides are not seen."""
        return self.known_slices is not None

    def is_known(self, points_mm: np.ndarray) -> np.ndarray:
        """Whether places lie between slices that are seen, RAS+ mm, shape (n, 3) -> (n,).

        What lies beyond may be a cut and not a surface.
        """
        if self.known_slices is None:
            return np.ones(len(points_mm), bool)
        along = np.linalg.inv(self.affine)[0]
        place = np.asarray(points_mm, float) @ along[:3] + along[3]
        first, last = self.known_slices
        return (place >= first - 1e-6) & (place <= last + 1e-6)

    @cached_property
    def indicator(self) -> Indicator:
        """The mask as a continuous function."""
        return Indicator.of(self.mask, (0, 0, 0), self.affine)

    @cached_property
    def points_mm(self) -> np.ndarray:
        """Centres of its voxels, RAS+, shape (n, 3)."""
        return to_world(self.affine, np.argwhere(self.mask))

    @cached_property
    def centroid_mm(self) -> np.ndarray:
        """Mean of its voxel centres, shape (3,)."""
        return self.points_mm.mean(axis=0)

    @property
    def voxels_n(self) -> int:
        """Number of its voxels."""
        return len(self.points_mm)

    def largest(self) -> "Crop":
        """Its largest 26-connected component (the first of equally large ones)."""
        components, n = cc3d.connected_components(self.mask, return_N=True)
        if n < 2:
            return self
        counts = np.bincount(components.reshape(-1))
        counts[0] = 0
        return self.with_mask(components == counts.argmax())

    def with_mask(self, mask: np.ndarray) -> "Crop":
        """Other voxels on the same grid."""
        return replace(self, mask=mask)


def to_world(affine: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Voxel indices, shape (..., 3), as RAS+ mm."""
    return index @ affine[:3, :3].T + affine[:3, 3]


def cut(volume: Volume, box: Box) -> Volume:
    """Copy the part of `volume` inside `box`, axes as `AXES`."""
    part = volume.cropped(box).reoriented(AXES)
    # rounding error of turned affines must not decide what lies exactly on a surface
    affine = np.round(part.affine, _AFFINE_DECIMALS) + 0.0
    return Volume(np.ascontiguousarray(part.array), affine)


def box_around(regions: list[Region], volume: Volume, margin_mm: float = 0.0) -> Box:
    """Box of all `regions` and `margin_mm` around them, within the grid of `volume`."""
    margin = np.ceil(margin_mm / volume.spacing_mm - 1e-6).astype(int)
    start = np.min([region.start for region in regions], axis=0) - margin
    stop = np.max([region.stop for region in regions], axis=0) + margin
    inside = np.maximum(start, 0), np.minimum(stop, volume.shape)
    return three(slice(int(a), int(b)) for a, b in zip(*inside, strict=True))


def image_under(image: Volume, crop: Crop) -> np.ndarray:
    """The voxels of `image` (on the grid that `crop` was cut from) under those of `crop`."""
    turned = image.reoriented(AXES)
    start = np.round(np.linalg.inv(turned.affine) @ crop.affine[:, 3]).astype(int)[:3]
    part = tuple(slice(s, s + n) for s, n in zip(start, crop.mask.shape, strict=True))
    return np.ascontiguousarray(turned.array[part])
