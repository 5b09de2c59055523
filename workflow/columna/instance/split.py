"""Separate two vertebral bodies that the semantic mask has run together."""

import cc3d
import numpy as np

from columna.images.morphology import dilated, eroded
from columna.images.volume import bounding_box

MAX_EROSIONS = 10


def split_body(blob: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray | None:
    """Cut a blob in two by the plane between its two cores (docs/method.md#splitting-a-body).

    Parameters
    ----------
    blob
        Boolean mask (P, I, R) of one connected body that is too large.
    spacing_mm
        Voxel size, shape (3,).

    Returns
    -------
    numpy.ndarray or None
        The voxels on the far side of the plane, or None where no two cores can be found.
    """
    box = bounding_box(blob, 1)
    inside = np.pad(blob[box], 1)
    cores = _cores(inside)
    if cores is None:
        return None
    first, second = (_centre(core) for core in cores)
    between = _centre(_touching(*cores))
    # the plane is perpendicular to the line between the cores in space, not in voxels
    normal = (first - second) * spacing_mm**2
    far = np.zeros_like(blob)
    offset = sum(
        (index - middle) * weight
        for index, middle, weight in zip(
            np.ogrid[*map(slice, inside.shape)], between, normal, strict=True
        )
    )
    far[box] = (inside & (offset < 0))[1:-1, 1:-1, 1:-1]
    if not far.any() or (far == blob).all():
        return None
    return far


def _cores(blob: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Erode until the blob falls apart; the two largest pieces, or core and shell."""
    shrunk = blob
    for _ in range(MAX_EROSIONS):
        previous, shrunk = shrunk, eroded(shrunk, rank=3)
        if not shrunk.any():
            return _core_and_shell(blob, previous)
        pieces = cc3d.connected_components(shrunk, connectivity=26)
        if pieces.max() > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            largest, second = np.argsort(-sizes, kind="stable")[:2]
            return pieces == largest, pieces == second
    return None


def _core_and_shell(blob: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Grow the last core to half of the blob; what is left over is the other part."""
    half = 0.5 * np.count_nonzero(blob)
    while np.count_nonzero(core) < half:
        core = dilated(core, rank=3) & blob
    shell = blob & ~core
    if not shell.any():
        return None
    return _largest(core), _largest(shell)


def _touching(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dilate both in turn until they overlap; the overlap."""
    while not (first & second).any():
        first = dilated(first, rank=3)
        if not (first & second).any():
            second = dilated(second, rank=3)
    return first & second


def _largest(mask: np.ndarray) -> np.ndarray:
    return cc3d.largest_k(mask, k=1, connectivity=26) > 0


def _centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)
