"""Read label masks of any program and bring two of them to one grid."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy import ndimage

from columna.errors import ColumnaError
from columna.evaluate.conventions import LARGEST_LABEL
from columna.images.volume import Volume, open_grid

NIFTI = (".nii", ".nii.gz")
ITK = (".mha", ".mhd", ".nrrd", ".nhdr")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE_MM = 0.01
"""Grids whose corners lie at most this far apart are one grid."""
WHOLE_NUMBER = 1e-3
"""Masks are often stored as float or with a slope; labels may be this far from a whole number."""


def read_mask(path: Path) -> Volume:
    """Read a label mask: NIfTI, MetaImage (``.mha``) or NRRD.

    Returns
    -------
    Volume
        Labels as uint16, in the orientation of the file, with the affine to RAS+ mm.

    Raises
    ------
    ColumnaError
        If the file is missing, is none of these, is not three-dimensional or holds other values
        than labels.
    """
    if not path.is_file():
        raise ColumnaError(f"{path}: there is no such mask; correct the path in the sheet")
    name = path.name.lower()
    try:
        if name.endswith(NIFTI):
            image = open_grid(path)
            values, affine = np.asanyarray(image.dataobj), np.asarray(image.affine, float)
        elif name.endswith(ITK):
            values, affine = read_itk(path)
        else:
            raise ColumnaError(f"{path}: is no NIfTI, .mha or .nrrd file; convert the mask to one")
    except (OSError, EOFError, RuntimeError, ValueError, ImageFileError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ColumnaError(f"{path}: cannot be read as a mask: {reason}") from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise ColumnaError(f"{path}: has {values.ndim} dimensions; a mask has three")
    return Volume(_labels(path, values), affine)


def read_itk(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read an image that SimpleITK knows.

    Returns
    -------
    values : ndarray
        Voxels as they are stored, with the axes in the order of the affine's columns.
    affine : ndarray
        Shape (4, 4), from voxel indices to RAS+ mm.

    Raises
    ------
    ColumnaError
        If the image is not three-dimensional or has several channels.
    RuntimeError
        If SimpleITK cannot read the file.
    """
    image = SimpleITK.ReadImage(str(path))
    size = image.GetDimension()
    if size != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ColumnaError(
            f"{path}: has {size} dimensions or several channels; columna reads three and one"
        )
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), LPS_TO_RAS @ affine


def _labels(path: Path, values: NDArray[Any]) -> NDArray[np.uint16]:
    numbers = values
    if not np.issubdtype(values.dtype, np.integer):
        if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
            raise ColumnaError(f"{path}: holds values that are no finite numbers")
        numbers = np.rint(values)
        if np.abs(values - numbers).max(initial=0) > WHOLE_NUMBER:
            raise ColumnaError(f"{path}: holds fractions; a mask of labels holds whole numbers")
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > LARGEST_LABEL:
        raise ColumnaError(f"{path}: holds values that are no labels (0 to {LARGEST_LABEL})")
    return numbers.astype(np.uint16)


def same_grid(a: Volume, b: Volume) -> bool:
    """Whether two volumes have the same voxels at the same places."""
    if a.shape != b.shape:
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.shape], indexing="ij")).reshape(3, -1)
    places = [v.affine[:3, :3] @ corners + v.affine[:3, 3:] for v in (a, b)]
    return bool(np.abs(places[0] - places[1]).max() <= SAME_PLACE_MM)


def on_grid(mask: Volume, grid: Volume) -> tuple[NDArray[np.uint16], NDArray[np.bool_] | None]:
    """Bring `mask` to the voxels of `grid` by its nearest voxel.

    Returns
    -------
    labels : ndarray
        Shape of `grid`; 0 where `mask` does not reach.
    is_inside : ndarray or None
        Where `mask` reaches; None where that is everywhere.
    """
    if same_grid(mask, grid):
        return mask.array, None
    aligned = mask.reoriented(grid.orientation)
    if same_grid(aligned, grid):
        return np.ascontiguousarray(aligned.array), None
    to_mask = np.linalg.inv(aligned.affine) @ grid.affine
    if not np.isfinite(to_mask).all():
        raise ColumnaError("a mask's affine places no voxel; correct its header")
    settings = {"matrix": to_mask[:3, :3], "offset": to_mask[:3, 3], "output_shape": grid.shape}
    labels = ndimage.affine_transform(aligned.array, order=0, mode="grid-constant", **settings)
    inside = ndimage.affine_transform(
        np.ones(aligned.shape, np.uint8), order=0, mode="grid-constant", **settings
    )
    return labels, None if inside.all() else inside.astype(bool)
