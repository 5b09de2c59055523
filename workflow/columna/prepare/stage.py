"""From a checked scan to the image that the phase-1 network sees."""

from typing import Protocol

import numpy as np

from columna.config import PrepareSettings
from columna.images.intensity import signal_box
from columna.images.volume import Volume, resample_image
from columna.prepare.bias import correct_bias
from columna.prepare.normalise import normalise
from columna.prepare.read import Scan

PADDING = 4
"""Voxels added on every side before resampling (docs/method.md#preparation)."""
N4_ORIENTATION = ("P", "S", "R")
"""Axes along which N4 runs. It sees one voxel in four along each, and which ones changes images by
some percent. SPINEPS runs it on the axes of the file (``n4_axes: stored``); this is how many
sagittal scans are stored.
"""


class TargetGrid(Protocol):
    """The part of `columna.models.grid.ModelGrid` that preparing needs."""

    orientation: tuple[str, str, str]

    def target_spacing_mm(self, spacing_mm: tuple[float, ...]) -> tuple[float, ...]:
        """Spacing that the model asks for, given the spacing along `orientation`."""


def prepare_scan(scan: Scan, grid: TargetGrid, settings: PrepareSettings) -> Volume:
    """Normalise, correct the bias field, pad, reorient and resample (docs/method.md#preparation).

    The image is interpolated once, straight to the spacing of the network.

    Parameters
    ----------
    scan
        A scan of `read_scan`.
    grid
        What the phase-1 model asks for.
    settings
        Whether to run N4, and along which axes.

    Returns
    -------
    Volume
        float32 along `grid.orientation` (P, I, R for the sagittal models). It begins `PADDING`
        voxels before the first voxel that is not empty, so that zeros around a scan change
        nothing; SPINEPS lets the grid begin at the corner of the file.
    """
    # one axis order from the start, so that the result does not depend on how a scan is stored
    as_stored = settings.n4_axes == "stored"
    oriented = scan.volume.reoriented(scan.volume.orientation if as_stored else N4_ORIENTATION)
    content = _without_empty_margins(
        oriented.with_array(normalise(np.ascontiguousarray(oriented.array)))
    )
    if settings.n4:
        corrected = correct_bias(content.array, content.spacing_mm)
        content = content.with_array(normalise(corrected))
    padded = content.padded(PADDING).reoriented(grid.orientation)
    return resample_image(padded, grid.target_spacing_mm(tuple(padded.spacing_mm)))


def _without_empty_margins(volume: Volume) -> Volume:
    box = signal_box(volume.array > 0)
    return volume if box is None else volume.cropped(box)
