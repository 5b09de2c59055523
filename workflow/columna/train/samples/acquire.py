"""What a scanner and its file do to a picture: voxels, coils, noise, ghosts, tones."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from columna.images.triple import three
from columna.train.samples.deform import Steps


@dataclass(frozen=True)
class Protocol:
    """Voxel size and faults of a scan.

    Parameters
    ----------
    voxel_mm
        Distance of the voxels along P, I, R.
    width_mm
        Width of what a voxel averages, along the same axes.
    noise
        SD of the noise, relative to the fluid.
    ghost_shift, ghost_axis, ghost
        Where a faint copy of the picture lies (share of the patch, 0 = P, 1 = I), and how strong.
    wrap
        Share of the patch, at its front end, onto which the back end is folded (0: none).
    fat_shift
        Chemical shift of fat along I, in voxels of the fine grid.
    gamma, saturation, steps_n
        Tone curve: exponent; share of the fluid's brightness at which values clip; grey steps.
    """

    voxel_mm: tuple[float, float, float]
    width_mm: tuple[float, float, float]
    noise: float
    ghost_shift: float
    ghost_axis: int
    ghost: float
    wrap: float
    fat_shift: int
    gamma: float
    saturation: float
    steps_n: int

    def toned(self, image: np.ndarray) -> np.ndarray:
        """Clip, bend and quantise intensities (in units of the fluid)."""
        image = np.clip(image * np.float32(1 / self.saturation), 0, 1) ** np.float32(self.gamma)
        return np.round(image * self.steps_n) * np.float32(1 / self.steps_n)


def random_protocol(rng: np.random.Generator) -> Protocol:
    """Draw a protocol: thick sagittal slices mostly, sometimes a three-dimensional scan."""
    in_plane = float(rng.uniform(0.45, 1.2))
    if rng.random() < 0.35:
        in_plane = float(rng.uniform(0.7, 1.6))
        slice_mm = float(rng.uniform(0.8, 2.0))
        thick = slice_mm
    else:
        slice_mm = float(rng.uniform(2.5, 5.0))
        thick = slice_mm * float(rng.uniform(0.75, 1.0))
    blur = float(rng.uniform(0.8, 1.6)) * in_plane
    faint = float(rng.uniform(0.02, 0.12)) if rng.random() < 0.25 else 0.0
    return Protocol(
        voxel_mm=(in_plane, in_plane, slice_mm),
        width_mm=(blur, blur * float(rng.uniform(0.8, 1.3)), thick),
        noise=float(np.exp(rng.uniform(*np.log((0.004, 0.06)))) * rng.choice([1, 1, 1, 2])),
        ghost_shift=float(rng.uniform(0.1, 0.6)),
        ghost_axis=int(rng.integers(2)),
        ghost=faint,
        wrap=float(rng.uniform(0.05, 0.25)) if rng.random() < 0.08 else 0.0,
        fat_shift=int(rng.integers(-3, 4)) if rng.random() < 0.4 else 0,
        gamma=float(np.exp(rng.normal(0, 0.15))),
        saturation=float(rng.uniform(0.75, 1.6)),
        steps_n=int(rng.choice([255, 600, 1500, 4095])),
    )


@dataclass(frozen=True)
class Gain:
    """Sensitivity over space: coils, bias field, saturation slab, stitched stations.

    Lengths in mm; positions are scanner coordinates, whose origin is near the spine.
    """

    depth_mm: float
    behind_mm: float
    along_mm: float
    middle_mm: float
    waves: np.ndarray
    slab_mm: float
    slab_slope: float
    slab_width_mm: float
    slab_left: float
    seam_mm: float
    seam: float

    def at(self, steps: Steps) -> np.ndarray:
        """Gain on the grid that `steps` span, float32."""
        p, i, r = (s.astype(np.float32) for s in steps)
        p, i, r = p[:, None, None], i[None, :, None], r[None, None, :]
        log = (p - self.behind_mm) / self.depth_mm - ((i - self.middle_mm) / self.along_mm) ** 2
        log = np.where(i > self.seam_mm, log + self.seam, log)
        slab = 1 / (1 + np.exp((self.slab_mm + self.slab_slope * i - p) / self.slab_width_mm))
        log = (log + np.log(self.slab_left + (1 - self.slab_left) * slab)).astype(np.float32)
        bias = np.zeros((1, 1, 1), np.float32)
        waves: np.ndarray = self.waves.astype(np.float32)
        for weight, a, b, c, d, e, f in waves:
            bias = bias + weight * np.cos(a * p + d) * np.cos(b * i + e) * np.cos(c * r + f)
        return np.exp(log + bias)


def random_gain(rng: np.random.Generator) -> Gain:
    """Draw a gain; N4 takes much of it away before a network looks, so most are mild."""
    waves = np.column_stack(
        [
            rng.normal(0, rng.uniform(0, 0.22), 4),
            rng.uniform(0, 1 / 30, (4, 3)),
            rng.uniform(0, 2 * np.pi, (4, 3)),
        ]
    )
    slab, seam = rng.random() < 0.5, rng.random() < 0.1
    return Gain(
        depth_mm=float(1 / rng.uniform(1e-4, 1 / 55)),
        behind_mm=float(rng.uniform(0, 40)),
        along_mm=float(1 / rng.uniform(1e-4, 1 / 150)),
        middle_mm=float(rng.normal(0, 60)),
        waves=waves,
        slab_mm=float(rng.uniform(-95, -30)) if slab else -1000.0,
        slab_slope=float(rng.normal(0, 0.15)) if slab else 0.0,
        slab_width_mm=float(rng.uniform(2, 8)),
        slab_left=float(rng.uniform(0.02, 0.5)),
        seam_mm=float(rng.uniform(-80, 80)),
        seam=float(rng.normal(0, 0.25)) if seam else 0.0,
    )


def acquire(
    picture: np.ndarray,
    fine: Steps,
    wanted: Steps,
    gain: Gain,
    protocol: Protocol,
    rng: np.random.Generator,
) -> np.ndarray:
    """Scan a picture, and resample the scan to the grid of a network as `prepare` does.

    Parameters
    ----------
    picture
        float32 brightness on the grid that `fine` spans (mm along each axis).
    wanted
        The grid of the result.

    Returns
    -------
    ndarray
        float32, before the tone curve.
    """
    spans = zip(wanted, protocol.voxel_mm, strict=True)
    voxels = three(_voxel_positions(w, size, rng) for w, size in spans)
    for axis, (x, f, width) in enumerate(zip(voxels, fine, protocol.width_mm, strict=True)):
        picture = _along(_averaging(x, f, width), picture, axis)
    picture = picture * gain.at(voxels)
    if protocol.ghost:
        shift = int(protocol.ghost_shift * picture.shape[protocol.ghost_axis])
        picture = picture + np.float32(protocol.ghost) * np.roll(
            picture, shift, protocol.ghost_axis
        )
    folded = int(protocol.wrap * picture.shape[0])
    if folded:
        picture[:folded] += picture[-folded:]
    picture = with_noise(picture, protocol.noise, rng)
    for axis, (x, w) in enumerate(zip(voxels, wanted, strict=True)):
        picture = _along(_interpolating(w, x), picture, axis)
    return picture


def with_noise(picture: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitude of the picture with complex noise of `sd` (Rician)."""
    if not sd:
        return picture
    real = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(sd)
    imaginary = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(sd)
    return np.sqrt((picture + real) ** 2 + imaginary**2)


def _voxel_positions(wanted: np.ndarray, size_mm: float, rng: np.random.Generator) -> np.ndarray:
    start = wanted[0] - rng.uniform(0, size_mm)
    return start + size_mm * np.arange(int(np.ceil((wanted[-1] - start) / size_mm)) + 1)


def _averaging(voxels: np.ndarray, fine: np.ndarray, width_mm: float) -> np.ndarray:
    """Matrix from fine samples to voxels: soft boxes of `width_mm`; rows sum to one."""
    step = fine[1] - fine[0]
    edge = 0.5 * step + 0.15 * width_mm
    gap = np.abs(np.clip(voxels, fine[0], fine[-1])[:, None] - fine)
    weights = np.clip((0.5 * width_mm + edge - gap) / (2 * edge), 0, 1)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _interpolating(wanted: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Matrix from voxels to wanted positions: the cubic spline of `columna.images.volume`."""
    index = (wanted - voxels[0]) / (voxels[1] - voxels[0])
    columns = [
        ndimage.map_coordinates(unit, index[None], order=3, mode="nearest")
        for unit in np.eye(len(voxels))
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _along(matrix: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    """Multiply `array` by `matrix` along one axis."""
    if axis == 0:
        flat = matrix @ array.reshape(array.shape[0], -1)
        return flat.reshape(-1, *array.shape[1:])
    if axis == 2:
        return array @ matrix.T
    return np.matmul(matrix, array)
