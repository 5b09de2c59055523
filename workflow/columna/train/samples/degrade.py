"""Make true masks look like a network's: rough borders, missing pieces, fused parts, islands."""

import numpy as np
from scipy import ndimage

from columna.anatomy import POSTERIOR_ELEMENTS, Semantic
from columna.phantom.texture import smooth_noise


def degraded(semantic: np.ndarray, bodies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of `semantic` with the faults of a segmentation.

    Parameters
    ----------
    semantic
        True mask.
    bodies
        Instance labels of the bodies, 0 elsewhere.
    """
    mask = semantic.copy()
    if rng.random() < 0.15:
        return mask
    mask = _jittered(mask, rng)
    if rng.random() < 0.5:
        _drop_process(mask, rng)
    if rng.random() < 0.35:
        _drop_patches(mask, rng)
    if rng.random() < 0.25:
        _bridge_discs(mask, rng)
    if rng.random() < 0.2:
        _shrink_bodies(mask, bodies, rng)
    if rng.random() < 0.15:
        _take_sacrum_for_body(mask, rng)
    if rng.random() < 0.4:
        _add_islands(mask, rng)
    return mask


def _jittered(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move every voxel's lookup by a smooth and a rough random offset of about a voxel."""
    index = np.indices(mask.shape, dtype=np.float32)
    amount, rough = rng.uniform(0.2, 1.1), rng.uniform(0, 0.5)
    for axis, strength in enumerate((1.0, 1.0, 0.4)):
        offset = smooth_noise(mask.shape, (1, 1, 1.6), rng.uniform(2, 6), rng)
        offset += np.float32(rough) * rng.standard_normal(mask.shape, dtype=np.float32)
        index[axis] += np.float32(amount * strength * 0.7) * offset
    index = np.round(index).astype(np.int32)
    for axis, n in enumerate(mask.shape):
        np.clip(index[axis], 0, n - 1, out=index[axis])
    return mask[tuple(index)]


def _drop_process(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Lose a whole class of processes, or confuse two, in a stretch of the spine (in place)."""
    low, high = np.sort(rng.integers(0, mask.shape[1], 2))
    part = mask[:, low : high + 1]
    wrong, right = rng.choice(POSTERIOR_ELEMENTS, 2, replace=False)
    part[part == wrong] = 0 if rng.random() < 0.6 else right


def _drop_patches(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Lose blobs (in place)."""
    noise = smooth_noise(mask.shape, (1, 1, 1.6), rng.uniform(3, 7), rng)
    mask[noise > rng.uniform(1.5, 2.5)] = 0


def _bridge_discs(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Call parts of discs and endplates body (in place)."""
    noise = smooth_noise(mask.shape, (1, 1, 1.6), rng.uniform(5, 12), rng)
    between = (mask == Semantic.DISC) | (mask == Semantic.ENDPLATE)
    mask[between & (noise > rng.uniform(0.8, 1.8))] = Semantic.VERTEBRAL_BODY


def _take_sacrum_for_body(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Call the upper end of the sacrum, or patches of it, body (in place)."""
    sacrum = mask == Semantic.SACRUM
    rows = np.flatnonzero(sacrum.any(axis=(0, 2)))
    if not len(rows):
        return
    if rng.random() < 0.5:
        sacrum[:, rows[0] + int(rng.integers(4, 20)) :] = False
    else:
        noise = smooth_noise(mask.shape, (1, 1, 1.6), rng.uniform(5, 12), rng)
        sacrum &= noise > rng.uniform(0.5, 1.5)
    mask[sacrum] = Semantic.VERTEBRAL_BODY


def _shrink_bodies(mask: np.ndarray, bodies: np.ndarray, rng: np.random.Generator) -> None:
    """Erode one body, or lose all of it (in place)."""
    labels = np.unique(bodies)[1:]
    chosen = bodies == rng.choice(labels)
    core = ndimage.binary_erosion(chosen, iterations=int(rng.integers(1, 3)))
    lost = chosen & ~core if rng.random() < 0.8 else chosen
    mask[lost & (mask == Semantic.VERTEBRAL_BODY)] = 0


def _add_islands(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Scatter small false components (in place)."""
    for _ in range(int(rng.integers(1, 8))):
        centre = [int(rng.integers(n)) for n in mask.shape]
        size = rng.integers(1, 6, 3)
        box = tuple(slice(max(c - s, 0), c + s) for c, s in zip(centre, size, strict=True))
        empty = mask[box] == 0
        mask[box][empty] = rng.choice([*POSTERIOR_ELEMENTS, Semantic.VERTEBRAL_BODY])
