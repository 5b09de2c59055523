"""From a prepared image to the array that the nnU-Net sees, and from its answer back.

The steps are nnU-Net's own (docs/method.md#network-input): reverse the axes (a NIfTI array read as
z, y, x), permute them as the plans say, crop to what is not empty, normalise intensities. The
crop comes before the normalisation because it changes the statistics.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes

from columna.errors import ModelError, ScanRefused
from columna.images.triple import three
from columna.images.volume import Box, Volume, bounding_box
from columna.models.semantic_network import SemanticModel

_EMPTY_RATIO = 0.5 / 1500
"""Voxels below this part of the maximum are empty: half a unit of the prepared range.

Cubic interpolation leaves ripples in the padding around the field of view. SPINEPS rounds them
away, because it resamples integers; here they are told from content by their size.
"""
_SPACING_TOLERANCE_MM = 1e-3


@dataclass(frozen=True)
class NetworkInput:
    """A normalised image along the network axes.

    Parameters
    ----------
    array
        float32, shape (1, a, b, c): the part that is not empty.
    box
        Where that part lies in the whole image, along the network axes.
    shape
        Of the whole image, along the network axes.
    axes
        Network axis i is axis ``axes[i]`` of the image.
    """

    array: np.ndarray
    box: Box
    shape: tuple[int, int, int]
    axes: tuple[int, int, int]

    def to_image_axes(self, answer: np.ndarray) -> np.ndarray:
        """Put an answer for `array`, shape (a, b, c), back into the whole image, zero outside."""
        whole = np.zeros(self.shape, answer.dtype)
        whole[self.box] = answer
        return whole.transpose(np.argsort(self.axes))


def make_network_input(image: Volume, model: SemanticModel) -> NetworkInput:
    """Make the network's input from an image in the model's grid.

    Raises
    ------
    ModelError
        If orientation or spacing are not the model's: nothing is resampled here.
    ScanRefused
        If the image is empty.
    """
    _check_grid(image, model)
    axes = tuple(2 - axis for axis in model.transpose)
    array = image.array.transpose(axes)
    box = bounding_box(np.abs(array) > _EMPTY_RATIO * np.abs(array).max(initial=0))
    if box is None:
        raise ScanRefused("constant", "The image is empty: every voxel is zero.")
    # a copy: nnU-Net normalises in place
    content = np.array(array[box], np.float32, order="C")
    outside = None
    if model.normalizer.use_mask_for_norm:
        outside = -1 + binary_fill_holes(content != 0).astype(np.int8)
    content = model.normalizer.run(content, outside)
    return NetworkInput(content[None], box, array.shape, three(axes))


def _check_grid(image: Volume, model: SemanticModel) -> None:
    if image.orientation != tuple(model.grid.orientation):
        raise ModelError(
            f"{model.folder.name} wants the orientation {model.grid.orientation}, "
            f"the image has {image.orientation}"
        )
    wanted = model.grid.plan_spacing_mm
    if wanted is None or not np.allclose(
        image.spacing_mm, wanted, rtol=0, atol=_SPACING_TOLERANCE_MM
    ):
        spacing = tuple(float(size) for size in image.spacing_mm.round(4))
        raise ModelError(
            f"{model.folder.name} wants voxels of {wanted} mm, the image has {spacing}; "
            "prepare it for this model"
        )
