"""Drawings of SPIDER T2 SPACE: three structures, no instances, and no line between body and arch.

Vertebrae are one piece of the mask, so what lies in front of the middle of the canal stands for
the body with its pedicles, and what lies behind it for arch and processes.
"""

import cc3d
import numpy as np
from numpy.typing import NDArray

from columna.evaluate.conventions import Mask, find_convention
from columna.images.volume import Volume

Bits = NDArray[np.bool_]
BODY_MM3 = 3000.0
"""Smallest part of a drawing in front of the canal that is a body."""
DISC_MM3 = 300.0
"""Smaller pieces of drawn discs are cut ones, or specks."""
CONVENTION = "spider_space"


def drawn_structure(mask: Mask, name: str) -> Bits:
    """Voxels of ``vertebra``, ``disc`` or ``canal_with_cord``."""
    return find_convention(CONVENTION).structure(mask, name)


def sides_of_canal(mask: Mask) -> tuple[Bits, Bits]:
    """Voxels in front of and behind the middle of the canal; rows without a canal are in neither.

    Parameters
    ----------
    mask
        The drawing along P, I, R.
    """
    canal = drawn_structure(mask, "canal_with_cord")
    counts = canal.sum(axis=(0, 2))
    place = np.arange(mask.shape[0])
    middle = (canal.sum(axis=2) * place[:, None]).sum(axis=0) / np.maximum(counts, 1)
    front = ((place[:, None] < middle) & (counts > 0))[:, :, None]
    behind = ((place[:, None] > middle) & (counts > 0))[:, :, None]
    return np.broadcast_to(front, mask.shape), np.broadcast_to(behind, mask.shape)


def drawn_bodies(drawing: Volume) -> Mask:
    """Bodies of a drawing along P, I, R, numbered from the top."""
    front, _ = sides_of_canal(drawing.array)
    vertebra = drawn_structure(drawing.array, "vertebra")
    parts = cc3d.connected_components(vertebra & front, connectivity=6)
    return _numbered(parts, BODY_MM3 / drawing.voxel_volume_mm3)


def drawn_discs(drawing: Volume) -> Mask:
    """Discs of a drawing along P, I, R, numbered from the top."""
    parts = cc3d.connected_components(drawn_structure(drawing.array, "disc"), connectivity=6)
    return _numbered(parts, DISC_MM3 / drawing.voxel_volume_mm3)


def _numbered(parts: Mask, least_voxels: float) -> Mask:
    """Parts that are large enough, numbered from the top."""
    sizes = np.bincount(parts.ravel())
    large = [n for n in range(1, len(sizes)) if sizes[n] > least_voxels]
    large.sort(key=lambda n: float(np.argwhere(parts == n)[:, 1].mean()))
    table = np.zeros(len(sizes), np.uint8)
    table[large] = np.arange(1, len(large) + 1)
    return table[parts]
