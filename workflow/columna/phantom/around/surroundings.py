"""What surrounds a spine: skin line, fat, muscle, organs, vessels, C1 and the skull base.

None of it is labelled. It only has to make the task of finding a spine as hard as it is.
"""

import numpy as np
from scipy import ndimage

from columna.anatomy import Semantic
from columna.phantom.around.skeleton import atlas
from columna.phantom.spine.bones import PhantomCanvas
from columna.phantom.spine.course import SAC_GAP_MM, PhantomSpine
from columna.phantom.spine.tubes import CentreLine
from columna.phantom.texture import smooth_noise
from columna.phantom.tissues import (
    AIR,
    BONE,
    BRAIN,
    EMPTY,
    FAT,
    LIGAMENT,
    LOOSE_FAT,
    LUNG,
    MUSCLE,
    ORGANS,
    VESSEL,
)


def paint_surroundings(
    canvas: PhantomCanvas, spine: PhantomSpine, line: CentreLine, rng: np.random.Generator
) -> None:
    """Give every voxel of the scene that is still empty a tissue."""
    scene, grid = canvas.scene, canvas.grid
    _paint_atlas(canvas, spine)
    _line_with_ligaments(canvas)
    right, anterior, superior = grid.coordinates(np.eye(4), grid.whole)
    profile = _Profile(spine, line, rng)
    v = right - profile.at(superior, "right")
    u = anterior - profile.at(superior, "anterior")
    fine = smooth_noise(grid.shape, grid.spacing_mm, rng.uniform(4, 7), rng)
    coarse = smooth_noise(grid.shape, grid.spacing_mm, rng.uniform(14, 30), rng)

    tissue = np.full(grid.shape, ORGANS[0], np.uint8)
    tissue[coarse > 0.5] = ORGANS[1]
    tissue[coarse < -0.5] = ORGANS[2]
    tissue[fine > 1.3] = FAT
    front = profile.at(superior, "front")
    half = profile.at(superior, "half_width")
    level = profile.at(superior, "level")
    beside = np.abs(v) > half
    lung_base = 18 - rng.uniform(0, 5)
    tissue[(level < lung_base) & (level > 5) & beside & (u > 0)] = LUNG
    tissue[(level >= 18) & beside & (u > -5) & (u < front + 10)] = MUSCLE
    tissue[(u > 0) & (u < front + 5) & ~beside] = LOOSE_FAT
    for off_x, off_y, radius, code, low, high in profile.tubes:
        tube = (v - off_x) ** 2 + (u - front - off_y) ** 2 < radius**2
        tissue[tube & (level > low) & (level < high)] = code
    behind = u < 0
    tissue[behind] = np.where(fine[behind] > rng.uniform(0.8, 1.5), FAT, MUSCLE)
    midline = behind & (np.abs(v) < 4)
    tissue[midline] = np.where(fine[midline] > 0, LOOSE_FAT, LIGAMENT)
    foramen = (np.abs(u) < 11) & (np.abs(v) < half + 5)
    tissue[foramen] = np.where(fine[foramen] > 0.9, VESSEL, LOOSE_FAT)
    tissue[(level < -2.4) & (u > -60)] = BRAIN
    tissue[(level < -2.4) & (u > 8) & (u < 30)] = BONE
    back, belly = profile.at(superior, "back"), profile.at(superior, "belly")
    tissue[(anterior < back + profile.fat_mm) | (anterior > belly - profile.fat_mm)] = FAT
    tissue[(anterior < back) | (anterior > belly)] = AIR
    empty = scene == EMPTY
    scene[empty] = tissue[empty]


class _Profile:
    """Positions that vary along the superior axis, as lookup curves."""

    def __init__(self, spine: PhantomSpine, line: CentreLine, rng: np.random.Generator) -> None:
        centres = np.array([v.frame[:3, 3] for v in reversed(spine.chain)])
        order = np.argsort(line.points[:, 2])
        self._z = line.points[order, 2]
        course = line.points[order, 1]
        smooth = ndimage.gaussian_filter1d(course, 60, mode="nearest")
        ranks = np.array([_rank(v.label) for v in reversed(spine.chain)], float)
        level = np.interp(self._z, centres[:, 2], ranks)
        above = np.maximum(self._z - centres[-1, 2], 0)
        level -= above / 17.0

        def per_level(values: list[float]) -> np.ndarray:
            return np.interp(self._z, centres[:, 2], values[::-1])

        canal_front = per_level([-v.canal_centre[1] + v.body.depth / 2 for v in spine.chain])
        self._curves = {
            "right": line.points[order, 0],
            "anterior": course,
            "front": canal_front - SAC_GAP_MM / 2,
            "half_width": per_level([v.body.width / 2 for v in spine.chain]),
            "level": level,
            "back": smooth - rng.uniform(48, 80),
            "belly": smooth + np.interp(level, [3, 8, 14, 22], rng.uniform(60, 75) + _BELLY * 1.0),
        }
        self.fat_mm = rng.uniform(3, 22)
        vessels_and_airway = (
            (rng.normal(-8, 5), 15 + rng.normal(0, 2), rng.uniform(7, 12), VESSEL, 8, 22),
            (rng.normal(12, 5), 14 + rng.normal(0, 2), rng.uniform(6, 11), VESSEL, 16, 22),
            (rng.normal(0, 3), 20 + rng.normal(0, 3), rng.uniform(6, 10), AIR, 1, 9),
        )
        self.tubes = [tube for tube in vessels_and_airway if rng.random() < 0.7]

    def at(self, z: np.ndarray, name: str) -> np.ndarray:
        """The curve `name` at the positions `z` (superior, mm)."""
        low, step = self._z[0], 0.5
        regular = np.arange(low, self._z[-1] + step, step)
        curve = np.interp(regular, self._z, self._curves[name]).astype(np.float32)
        index = ((z - np.float32(low)) * np.float32(1 / step)).astype(np.int32)
        return curve[np.clip(index, 0, len(curve) - 1)]


_BELLY = np.array([0.0, 20.0, 55.0, 60.0])
"""How much deeper the trunk is than the neck, at the levels C5, T3, T9 and L5."""


def _rank(label: int) -> int:
    """Place on the scale of `morphometry`: C2 = 0, T1 = 6, L1 = 18."""
    return 18 if label == 28 else label - 2


def _paint_atlas(canvas: PhantomCanvas, spine: PhantomSpine) -> None:
    """C1, as bone all through."""
    c2 = spine.vertebrae[0]
    for rod in atlas(c2):
        box = canvas.grid.box(c2.frame, *rod.reach())
        if box is not None:
            inside = rod.depth(canvas.grid.coordinates(c2.frame, box)) >= 0
            canvas.scene[box][inside & (canvas.scene[box] == EMPTY)] = BONE


def _line_with_ligaments(canvas: PhantomCanvas) -> None:
    """A dark line of one voxel, within the slices, around bones and discs."""
    solid = (canvas.semantic != 0) & (canvas.semantic != Semantic.SPINAL_CORD)
    ring = ndimage.binary_dilation(solid, canvas.grid.cross) & (canvas.scene == EMPTY)
    canvas.scene[ring] = LIGAMENT
