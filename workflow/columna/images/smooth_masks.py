"""Masks from a coarse grid to a fine one with smooth borders.

Nearest-neighbour resampling repeats every voxel, so a mask of 1.2 x 1.2 x 3.3 mm has steps of that
size in a scan of 0.5 x 0.5 x 1 mm. Here every voxel takes the label that has the largest share in
the linear interpolation between its eight neighbours (docs/differences.md says what that gains).
"""

from itertools import product

import numpy as np

from columna.images.volume import Volume, bounding_box, resample_mask_like

CHUNK = 1 << 16
"""Voxels that are voted on at once: what fits into the cache."""
ROUNDING = 6
"""Decimals of a position; rounding errors of affines must not decide a vote."""


def smooth_mask_like(mask: Volume, grid: Volume) -> Volume:
    """Resample `mask` to the voxels of `grid` by a vote of its eight nearest voxels.

    Outside `mask` its edge continues. Equal votes go to the nearest voxel. Grids whose axes are
    not parallel (never those that `prepare` makes of an input) are resampled to the nearest voxel.

    Parameters
    ----------
    mask
        Labels, any unsigned type.
    grid
        Only shape and affine are used.
    """
    nearest = resample_mask_like(mask, grid)
    aligned = mask.reoriented(grid.orientation)
    to_mask = np.linalg.inv(aligned.affine) @ grid.affine
    if not np.allclose(to_mask[:3, :3], np.diag(np.diag(to_mask[:3, :3])), atol=1e-5):
        return nearest
    positions = [
        np.round(np.arange(n) * ratio + start, ROUNDING).clip(0, size - 1)
        for n, ratio, start, size in zip(
            grid.shape, np.diag(to_mask)[:3], to_mask[:3, 3], aligned.shape, strict=True
        )
    ]
    if all((p == np.round(p)).all() for p in positions):
        return nearest
    array = nearest.array.copy()
    _vote_at_borders(array, aligned.array, positions)
    return Volume(array, grid.affine)


def _vote_at_borders(array: np.ndarray, source: np.ndarray, positions: list[np.ndarray]) -> None:
    """Replace the voxels of `array` between unequal voxels of `source`, in place."""
    cells = _unequal_cells(source)
    box = bounding_box(cells)
    if box is None:
        return
    lower = [np.floor(p).astype(np.intp) for p in positions]
    # the last voxel of an axis belongs to the cell before it
    lower = [np.minimum(low, max(n - 2, 0)) for low, n in zip(lower, source.shape, strict=True)]
    # only where cells of the box lie: most of a scan is far from the spine
    inside = [
        np.flatnonzero((low >= b.start) & (low < b.stop)) for low, b in zip(lower, box, strict=True)
    ]
    if not all(len(i) for i in inside):
        return
    near = [low[i] for low, i in zip(lower, inside, strict=True)]
    picked = cells.take(near[0], 0).take(near[1], 1).take(near[2], 2)
    index = np.nonzero(picked)
    for first in range(0, len(index[0]), CHUNK):
        part = [i[first : first + CHUNK] for i in index]
        voxel = tuple(i[p] for i, p in zip(inside, part, strict=True))
        base = [n[p] for n, p in zip(near, part, strict=True)]
        rest = [
            (p[v] - b).astype(np.float32) for p, v, b in zip(positions, voxel, base, strict=True)
        ]
        array[voxel] = _vote(source, base, rest, array[voxel])


def _unequal_cells(source: np.ndarray) -> np.ndarray:
    """Whether the corners of a cell differ; cell i lies between the voxels i and i + 1."""
    cells = source
    for axis, n in enumerate(source.shape):
        if n > 1:
            lead = (slice(None),) * axis
            low, high = cells[(*lead, slice(None, -1))], cells[(*lead, slice(1, None))]
            # a cell that is not uniform keeps a mark that no label has
            cells = np.where(low == high, low, np.uint16(65535))
    return cells == 65535


def _vote(
    source: np.ndarray, base: list[np.ndarray], rest: list[np.ndarray], nearest: np.ndarray
) -> np.ndarray:
    """Label of the largest share at voxels `base` + `rest` of `source`, each shape (n,)."""
    labels, weights = [], []
    for corner in product((0, 1), repeat=3):
        at = tuple(
            np.minimum(b + step, n - 1)
            for b, step, n in zip(base, corner, source.shape, strict=True)
        )
        weight: np.ndarray = np.asarray(np.float32(1))
        for share, step in zip(rest, corner, strict=True):
            weight = weight * (share if step else 1 - share)
        labels.append(source[at])
        weights.append(weight)
    winner, most = nearest, _votes(labels, weights, nearest)
    for label in labels:
        votes = _votes(labels, weights, label)
        better = votes > most + np.float32(1e-5)
        winner = np.where(better, label, winner)
        most = np.where(better, votes, most)
    return winner


def _votes(labels: list[np.ndarray], weights: list[np.ndarray], label: np.ndarray) -> np.ndarray:
    """Sum of the weights of the corners that have `label`."""
    total = np.zeros(len(label), np.float32)
    for own, weight in zip(labels, weights, strict=True):
        total += weight * (own == label)
    return total
