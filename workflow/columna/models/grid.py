"""The voxel grid that a model wants its input in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from columna.images.triple import Triple, three


@dataclass(frozen=True)
class ModelGrid:
    """Orientation and voxel size of a model's input (docs/method.md#grid-of-the-model).

    Parameters
    ----------
    orientation
        Where each array axis runs to, for example ``("P", "I", "R")``.
    minimum_mm, maximum_mm
        Range of accepted voxel sizes along these axes; equal where the size is fixed.
    plan_spacing_mm
        Voxel size that the nnU-Net plans ask for, along the same axes; None for networks
        without plans.
    """

    orientation: tuple[str, str, str]
    minimum_mm: Triple
    maximum_mm: Triple
    plan_spacing_mm: Triple | None = None

    def target_spacing_mm(self, spacing_mm: ArrayLike) -> Triple:
        """Voxel size to resample a scan to.

        The plan's spacing where there is one, since the network sees nothing else: resampling
        to the model's range first, as SPINEPS does, would interpolate twice. Otherwise the
        scan's own spacing, clamped into the range.

        Parameters
        ----------
        spacing_mm
            The scan's voxel size along the axes of `orientation`.
        """
        if self.plan_spacing_mm is not None:
            return self.plan_spacing_mm
        clamped = np.clip(np.asarray(spacing_mm, float), self.minimum_mm, self.maximum_mm)
        return three(float(size) for size in clamped)
