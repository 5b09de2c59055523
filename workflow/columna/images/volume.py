"""A three-dimensional array and the affine that places it in the scanner (RAS+, mm).

Reorienting, cropping and padding return views or cheap copies and keep the affine right.
"PIR" means that axis 0 runs towards posterior, axis 1 towards inferior, axis 2 towards right.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from nibabel.spatialimages import SpatialImage
from numpy.typing import ArrayLike
from scipy import ndimage

from columna.files import atomic_path
from columna.images.triple import three

Box = tuple[slice, slice, slice]
PIR = ("P", "I", "R")


@dataclass(frozen=True, eq=False)
class Volume:
    """An image or a mask.

    Parameters
    ----------
    array
        Voxels, three axes.
    affine
        4x4, voxel index to RAS+ mm.
    """

    array: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each array axis."""
        return self.array.shape

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each array axis, shape (3,)."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def orientation(self) -> tuple[str, str, str]:
        """Where each array axis runs *to*, for example ``("P", "I", "R")``."""
        return aff2axcodes(self.affine)

    def with_array(self, array: np.ndarray) -> "Volume":
        """Other voxels on the same grid."""
        if array.shape != self.shape:
            raise ValueError(f"array has shape {array.shape}, the grid {self.shape}")
        return Volume(array, self.affine)

    def reoriented(self, codes: Sequence[str] = PIR) -> "Volume":
        """Permute and flip the axes so that they run to `codes`; the array is a view."""
        change = ornt_transform(io_orientation(self.affine), axcodes2ornt(codes))
        return Volume(
            apply_orientation(self.array, change),
            self.affine @ inv_ornt_aff(change, self.shape),
        )

    def cropped(self, box: Box) -> "Volume":
        """The voxels inside `box` (a view) with the affine moved accordingly."""
        return Volume(self.array[box], shifted(self.affine, [s.start for s in box]))

    def padded(self, width: int, value: float = 0) -> "Volume":
        """Add `width` voxels of `value` on every side."""
        return Volume(
            np.pad(self.array, width, constant_values=value), shifted(self.affine, [-width] * 3)
        )


def shifted(affine: np.ndarray, start: Sequence[int]) -> np.ndarray:
    """The affine of a grid whose first voxel is the voxel `start` of the grid of `affine`."""
    moved = affine.astype(float)
    moved[:3, 3] = affine[:3, :3] @ np.asarray(start, float) + affine[:3, 3]
    return moved


def open_grid(path: Path) -> SpatialImage:
    """Open a file of nibabel's that holds voxels and an affine; ImageFileError for others."""
    image = nib.load(path)
    if not isinstance(image, SpatialImage):
        raise ImageFileError(f"{path}: holds no image")
    return image


def load_volume(path: Path) -> Volume:
    """Load a three-dimensional NIfTI file; integer data without scaling keeps its type."""
    image = open_grid(path)
    return Volume(np.asanyarray(image.dataobj), np.asarray(image.affine, float))


def load_image(path: Path) -> Volume:
    """Load a NIfTI image as float32, scaled as its header says."""
    image = open_grid(path)
    return Volume(
        image.get_fdata(dtype=np.float32, caching="unchanged"), np.asarray(image.affine, float)
    )


def save_image(volume: Volume, path: Path) -> None:
    """Write a float image as scaled 16-bit integers, atomically.

    Half the size of float32 and better compressible; the step is 1/65535 of the image's range,
    0.02 intensity units of the normalised 0 to 1500 (float16, which SPINEPS feeds its networks
    with, has 1.0 there).
    """
    image = nib.Nifti1Image(volume.array.astype(np.float32, copy=False), volume.affine)
    image.set_data_dtype(np.uint16)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def save_volume(volume: Volume, path: Path) -> None:
    """Write a NIfTI file atomically.

    The header is made anew: nothing of an input's free text reaches an output, and the gzip
    stream carries neither a time nor a name, so that equal volumes give equal files.
    """
    with atomic_path(path) as temporary:
        nib.save(_nifti(volume), temporary)


def volume_bytes(volume: Volume) -> bytes:
    """What `save_volume` writes to a ``.nii.gz`` file, packed more tightly."""
    return gzip.compress(_nifti(volume).to_bytes(), mtime=0)


def volume_from_bytes(content: bytes) -> Volume:
    """A volume of `volume_bytes`, as `load_volume` reads it from a file."""
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    return Volume(np.asanyarray(image.dataobj), np.asarray(image.affine, float))


def _nifti(volume: Volume) -> nib.Nifti1Image:
    image = nib.Nifti1Image(_in_file_order(volume.array), volume.affine)
    image.header.set_xyzt_units("mm")
    return image


def _in_file_order(array: np.ndarray) -> np.ndarray:
    """Copy to the order of NIfTI files, first axis fastest.

    In blocks that fit the cache: nibabel, which would do it slice by slice, takes ten times as
    long, numpy in one go four times.
    """
    if array.flags.f_contiguous:
        return array
    ordered = np.empty(array.shape, array.dtype, order="F")
    for row in range(0, array.shape[1], 16):
        ordered[:, row : row + 16] = array[:, row : row + 16]
    return ordered


def smallest_unsigned(array: np.ndarray) -> np.ndarray:
    """Cast a label array to uint8, or to uint16 where a label needs it."""
    return array.astype(np.uint8 if array.max(initial=0) < 256 else np.uint16, copy=False)


def bounding_box(mask: np.ndarray, margin: int | Sequence[int] = 0) -> Box | None:
    """Smallest box around the true (non-zero) voxels plus `margin`, or None if there are none."""
    if mask.dtype != bool:
        mask = mask != 0
    plane = np.any(mask, axis=2)
    lines = (np.any(plane, axis=1), np.any(plane, axis=0), np.any(mask, axis=(0, 1)))
    if not lines[0].any():
        return None
    margins = np.broadcast_to(margin, 3)
    box = []
    for line, extra in zip(lines, margins, strict=True):
        inside = np.flatnonzero(line)
        box.append(
            slice(max(int(inside[0] - extra), 0), min(int(inside[-1] + extra) + 1, len(line)))
        )
    return three(box)


def resampled_shape(
    shape: Sequence[int], spacing_mm: ArrayLike, new_spacing_mm: ArrayLike
) -> tuple[int, int, int]:
    """Voxels of the resampled grid: round(size x old spacing / new spacing), at least one."""
    exact = np.asarray(shape) * np.asarray(spacing_mm) / np.asarray(new_spacing_mm)
    return three(int(n) for n in np.maximum(np.round(exact), 1))


def scaled_affine(affine: np.ndarray, ratio: Sequence[float]) -> np.ndarray:
    """Affine of a grid with voxels `ratio` times as large and the same first voxel centre."""
    return affine @ np.diag([*ratio, 1.0])


def resample_image(volume: Volume, new_spacing_mm: Sequence[float]) -> Volume:
    """Cubic-spline resampling to another spacing along the same axes.

    The first voxel centres of both grids coincide, and beyond the last voxel the edge value
    continues (docs/method.md#grid-of-the-model).

    Returns
    -------
    Volume
        float32 voxels; the input itself, as float32, where the spacing agrees within 0.001 mm.
    """
    ratio = np.asarray(new_spacing_mm) / volume.spacing_mm
    array = volume.array.astype(np.float32, copy=False)
    if np.allclose(new_spacing_mm, volume.spacing_mm, atol=1e-3, rtol=0):
        return Volume(array, volume.affine)
    shape = resampled_shape(volume.shape, volume.spacing_mm, new_spacing_mm)
    resampled = ndimage.affine_transform(
        array, ratio, output_shape=shape, order=3, mode="nearest", output=np.float32
    )
    return Volume(resampled, scaled_affine(volume.affine, ratio))


def resample_mask(volume: Volume, new_spacing_mm: Sequence[float]) -> Volume:
    """Nearest-neighbour counterpart of `resample_image` for masks."""
    if np.allclose(new_spacing_mm, volume.spacing_mm, atol=1e-3, rtol=0):
        return volume
    ratio = np.asarray(new_spacing_mm) / volume.spacing_mm
    shape = resampled_shape(volume.shape, volume.spacing_mm, new_spacing_mm)
    return Volume(
        _pick(volume.array, shape, ratio, np.zeros(3)), scaled_affine(volume.affine, ratio)
    )


def resample_mask_like(mask: Volume, grid: Volume) -> Volume:
    """Nearest-neighbour resampling of `mask` to the voxels of `grid`.

    Grids whose axes are parallel (every grid that `prepare` makes of an input) need one lookup
    per axis; others go through the full affine. Outside `mask` its edge continues.
    """
    aligned = mask.reoriented(grid.orientation)
    to_mask = np.linalg.inv(aligned.affine) @ grid.affine
    linear, start = to_mask[:3, :3], to_mask[:3, 3]
    if np.allclose(linear, np.diag(np.diag(linear)), atol=1e-5):
        return Volume(_pick(aligned.array, grid.shape, np.diag(linear), start), grid.affine)
    picked = ndimage.affine_transform(
        aligned.array, linear, start, output_shape=grid.shape, order=0, mode="nearest"
    )
    return Volume(picked, grid.affine)


def _pick(
    array: np.ndarray, shape: Sequence[int], ratio: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Nearest voxel of `array` for every voxel i of `shape`, at i x `ratio` + `start`.

    Axes that stay as they are, as between equal grids, are not copied.
    """
    for axis in range(3):
        position = np.arange(shape[axis]) * ratio[axis] + start[axis]
        # rounding error of the affines must not decide ties between two voxels
        nearest = np.floor(np.round(position, 6) + 0.5).astype(int)
        nearest = nearest.clip(0, array.shape[axis] - 1)
        if not np.array_equal(nearest, np.arange(array.shape[axis])):
            array = array.take(nearest, axis)
    return array
