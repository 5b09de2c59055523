"""Random deformations: where in a label map the voxels of a sample lie."""

from dataclasses import dataclass

import numpy as np

from columna.phantom.texture import smooth_noise

Steps = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class MapPose:
    """An affine map from scanner to map coordinates, both in mm along P, I, R.

    Parameters
    ----------
    matrix
        Shape (3, 3).
    scanner, inside
        Shape (3,): a point of the scanner, and where it lies in the map.
    """

    matrix: np.ndarray
    scanner: np.ndarray
    inside: np.ndarray

    def at(self, steps: Steps) -> list[np.ndarray]:
        """Map coordinates (mm) of the grid that `steps` (mm along each axis) span; float32."""
        offset = self.inside - self.matrix @ self.scanner
        p, i, r = (s.astype(np.float32) for s in steps)
        p, i = p[:, None, None], i[None, :, None]
        m = self.matrix.astype(np.float32)
        return [m[a, 0] * p + m[a, 1] * i + (m[a, 2] * r + np.float32(offset[a])) for a in range(3)]


def random_pose(inside: np.ndarray, rng: np.random.Generator) -> MapPose:
    """A pose that shows the map point `inside` in the scanner's origin, turned and scaled."""
    sagittal, coronal, axial = np.deg2rad(rng.normal(0, (7, 4, 5)))
    turn = _rotation(0, 1, sagittal) @ _rotation(1, 2, coronal) @ _rotation(0, 2, axial)
    scale = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.05, 3))
    return MapPose(turn @ np.diag(1 / scale), np.zeros(3), np.asarray(inside, float))


def _rotation(a: int, b: int, angle: float) -> np.ndarray:
    matrix = np.eye(3)
    matrix[[a, b], [a, b]] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def add_elastic(
    coordinates: list[np.ndarray], steps: Steps, rng: np.random.Generator
) -> list[np.ndarray]:
    """Bend, stretch level by level, and wobble `coordinates` (mm); returned as new arrays."""
    shape = coordinates[0].shape
    spacing = [float(s[1] - s[0]) for s in steps]
    strength = rng.uniform(0.2, 1.0)
    wide = float(rng.uniform(25, 60))
    bend = [
        _wave(steps[1], 90, 7, rng),
        _wave(steps[1], 22, 1.6, rng),
        _wave(steps[1], 110, 4, rng),
    ]
    moved = []
    for axis, (at, amount) in enumerate(zip(coordinates, (2.4, 2.4, 2.0), strict=True)):
        field = smooth_noise(shape, spacing, wide, rng) * np.float32(strength * amount)
        fine = rng.uniform(0, 0.55) * (1, 1, 0.5)[axis]
        field += smooth_noise(shape, spacing, float(rng.uniform(6, 11)), rng) * np.float32(fine)
        moved.append(at + field + np.float32(strength) * bend[axis])
    return moved


def _wave(
    along: np.ndarray, scale_mm: float, amount_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """Random smooth shift that depends on the position along the spine only; (1, n, 1)."""
    step = float(along[1] - along[0])
    wave = smooth_noise((1, len(along), 1), (1, step, 1), scale_mm, rng)
    return (wave - wave.mean()) * np.float32(amount_mm / 1.6)


def doubled(coordinates: list[np.ndarray]) -> list[np.ndarray]:
    """Coordinates on a grid twice as fine along every axis; every second one is an old one."""
    for axis in range(3):
        coordinates = [_doubled(c, axis) for c in coordinates]
    return coordinates


def _doubled(array: np.ndarray, axis: int) -> np.ndarray:
    lead = (slice(None),) * axis
    shape = list(array.shape)
    shape[axis] *= 2
    fine = np.empty(shape, array.dtype)
    fine[(*lead, slice(0, None, 2))] = array
    middle = fine[(*lead, slice(1, -1, 2))]
    np.add(array[(*lead, slice(0, -1))], array[(*lead, slice(1, None))], out=middle)
    middle *= 0.5
    # the last one lies beyond: continue the line
    last = (*lead, slice(-1, None))
    fine[last] = 1.5 * array[last] - 0.5 * array[(*lead, slice(-2, -1))]
    return fine


def look_up(codes: np.ndarray, coordinates: list[np.ndarray], spacing_mm: np.ndarray) -> np.ndarray:
    """Nearest codes at `coordinates` (mm); beyond the map its border continues."""
    flat = None
    for axis, (at, step) in enumerate(zip(coordinates, spacing_mm, strict=True)):
        index = (at * np.float32(1 / step) + np.float32(0.5)).astype(np.int32)
        np.clip(index, 0, codes.shape[axis] - 1, out=index)
        flat = index if flat is None else flat * codes.shape[axis] + index
    return codes.reshape(-1)[flat]
