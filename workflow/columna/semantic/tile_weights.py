"""How much each voxel of a tile counts where tiles overlap (docs/method.md#sliding-window)."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

SIGMA = 1 / 8
"""Width of the Gaussian as a fraction of the tile."""


def tile_weights(patch_size: Sequence[int]) -> Tensor:
    """Make a Gaussian with the coarse steps and the floor that it has in SPINEPS.

    SPINEPS holds the Gaussian of unit *sum* in half precision. That has few steps so near to
    zero, and about half of the tile becomes the smallest step, some thousandths of the peak;
    nnU-Net's weights go down to 1e-11 there. The floor decides wherever tiles meet with their
    rims, which is at the rims of every scan, and without it 8 % of the foreground differ from
    SPINEPS (``docs/peer.md``, where both are compared with a truth).

    Parameters
    ----------
    patch_size
        Voxels of a tile.

    Returns
    -------
    Tensor
        float32, shape `patch_size`, largest value 1, none 0.
    """
    impulse = np.zeros(patch_size)
    impulse[tuple(size // 2 for size in patch_size)] = 1
    gaussian = gaussian_filter(impulse, [size * SIGMA for size in patch_size], mode="constant")
    coarse = torch.from_numpy(gaussian.astype(np.float16).astype(np.float32))
    return torch.where(coarse > 0, coarse, coarse[coarse > 0].min()) / coarse.max()
