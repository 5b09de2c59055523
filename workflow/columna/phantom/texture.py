"""Smooth random fields."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def smooth_noise(
    shape: Sequence[int],
    spacing_mm: Sequence[float] | np.ndarray,
    scale_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Random field of roughly zero mean and unit variance that varies over `scale_mm`.

    Returns
    -------
    ndarray
        float32 of `shape`: normal draws on a coarse grid, linearly interpolated.
    """
    steps = [max(1.0, scale_mm / s) for s in spacing_mm]
    coarse = [int(np.ceil(n / step)) + 2 for n, step in zip(shape, steps, strict=True)]
    field = rng.standard_normal(coarse, dtype=np.float32)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        field = _interpolated(field, axis, np.arange(n) / step + rng.uniform(0, 0.99))
    return field * np.float32(1.6)


def _interpolated(field: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation of `field` along one axis at fractional indices."""
    low = np.minimum(positions.astype(int), field.shape[axis] - 2)
    weight = (positions - low).astype(np.float32)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = weight.reshape(shape)
    return np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight


def gradient_field(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Slow random field (a random quadratic of the position), scaled to -1 to 1, float32."""
    axes = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True
    )
    field = np.zeros(shape, np.float32)
    for axis in axes:
        a, b = rng.normal(size=2)
        field += np.float32(a) * axis + np.float32(b) * axis**2
    low, high = field.min(), field.max()
    return (2 * (field - low) / max(high - low, 1e-6) - 1).astype(np.float32)


def blurred(image: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Gaussian blur with `sigma` in voxels; axes with less than 0.1 voxels are left as they are."""
    for axis, width in enumerate(sigma):
        if width > 0.1:
            image = ndimage.gaussian_filter1d(image, width, axis, truncate=3)
    return image
