"""The voxel grid of a phantom, and coordinates of its voxel centres in any frame."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage

from columna.images.triple import three
from columna.images.volume import PIR, Box
from columna.phantom.settings import PhantomSettings

Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class VoxelGrid:
    """Shape and voxel-to-RAS affine."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def box(self, frame: np.ndarray, low: np.ndarray, high: np.ndarray) -> Box | None:
        """Voxels that may lie between `low` and `high` (mm, in `frame`); None if there are none.

        Parameters
        ----------
        frame
            4x4, local right-anterior-superior mm to RAS mm.
        """
        corners = np.array([[*c, 1.0] for c in product(*zip(low, high, strict=True))]).T
        voxels = (np.linalg.inv(self.affine) @ frame @ corners)[:3]
        start = np.maximum(np.ceil(voxels.min(axis=1)), 0).astype(int)
        stop = np.minimum(np.floor(voxels.max(axis=1)) + 1, self.shape).astype(int)
        if (stop <= start).any():
            return None
        return three(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))

    def coordinates(self, frame: np.ndarray, box: Box) -> Coordinates:
        """Positions of the voxel centres of `box` in `frame`: right, anterior, superior, mm."""
        local = np.linalg.inv(frame) @ self.affine
        steps = [np.arange(s.start, s.stop) for s in box]
        i, j, k = steps[0][:, None, None], steps[1][:, None], steps[2]
        return three(
            (row[0] * i + row[1] * j + (row[2] * k + row[3])).astype(np.float32)
            for row in local[:3]
        )

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each array axis, shape (3,)."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    @property
    def cross(self) -> np.ndarray:
        """Structuring element of a voxel's four neighbours within its slice, shape (3, 3, 3)."""
        cross = ndimage.generate_binary_structure(3, 1)
        through = int(np.argmax(self.spacing_mm))
        cross[tuple(slice(1, 2) if a != through else slice(0, None, 2) for a in range(3))] = False
        return cross

    @property
    def whole(self) -> Box:
        """The box of all voxels."""
        return three(slice(0, n) for n in self.shape)


def make_grid(settings: PhantomSettings, centre: np.ndarray, fov_mm: np.ndarray) -> VoxelGrid:
    """Grid of `fov_mm` (towards posterior, inferior, right) around `centre` (RAS mm)."""
    spacing = np.asarray(settings.spacing_mm)
    shape = np.maximum(np.round(fov_mm / spacing), 1).astype(int)
    axes = _tilt(settings.obliquity_deg) @ np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    change = ornt_transform(axcodes2ornt(PIR), axcodes2ornt(settings.orientation))
    out_shape = np.empty(3, int)
    out_shape[change[:, 0].astype(int)] = shape
    return VoxelGrid(three(int(n) for n in out_shape), affine @ inv_ornt_aff(change, shape))


def _tilt(degrees: float) -> np.ndarray:
    """Rotation about the axis halfway between anterior and superior (Rodrigues)."""
    y, z = np.sqrt([0.5, 0.5])
    cross = np.array([[0, -z, y], [z, 0, 0], [-y, 0, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
