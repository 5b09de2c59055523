"""What naming sees of a spine: the sequence of bodies, the sacrum, and the edge of the image."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from columna.anatomy import Semantic
from columna.label.components import INFERIOR, Components, centres_of
from columna.volume import Box

MIN_BODY_RATIO = 0.05
"""An instance whose body is smaller than this times the median body is no level of its own."""
DISTANT = 1.6
"""Steps from body to body this much longer than their neighbours hint at a missed vertebra."""


@dataclass(frozen=True, eq=False)
class Spine:
    """Masks in (P, I, R) with an empty frame, instances numbered 1..n from top to bottom.

    Parameters
    ----------
    semantic, instance
        The masks.
    spaces
        Pieces of discs and endplates.
    spacing_mm
        Voxel size, shape (3,).
    rows_above
        Image rows above the first row of the masks (-1 where the frame lies outside).
    """

    semantic: np.ndarray
    instance: np.ndarray
    spaces: Components
    spacing_mm: np.ndarray
    rows_above: int

    @cached_property
    def count(self) -> int:
        """Number of instances."""
        return int(self.instance.max(initial=0))

    @cached_property
    def bodies(self) -> np.ndarray:
        """The instance number where a voxel belongs to a body, 0 elsewhere."""
        is_body = (self.semantic == Semantic.VERTEBRAL_BODY) | (self.semantic == Semantic.DENS)
        return np.where(is_body, self.instance, 0)

    @cached_property
    def body_voxels(self) -> np.ndarray:
        """Size of the body of each instance, shape (count + 1,)."""
        return centres_of(self.bodies, self.count)[0]

    @cached_property
    def centres(self) -> np.ndarray:
        """Centre of each body (of the instance where it has none), voxels, (count + 1, 3)."""
        whole = centres_of(self.instance, self.count)[1]
        body = centres_of(self.bodies, self.count)[1]
        return np.where(np.isfinite(body), body, whole)

    @cached_property
    def body_boxes(self) -> list[Box | None]:
        """Bounding box of each body; index 0 is None."""
        return [None, *ndimage.find_objects(self.bodies, self.count)]

    @cached_property
    def levels(self) -> list[int]:
        """The instances that count as vertebrae, from top to bottom: those with a real body."""
        sizes = self.body_voxels[1:]
        if not sizes.any():
            return []
        least = MIN_BODY_RATIO * np.median(sizes[sizes > 0])
        found = [i for i in range(1, self.count + 1) if self.body_voxels[i] >= max(least, 1)]
        return sorted(found, key=lambda i: self.centres[i, INFERIOR])

    @cached_property
    def steps_mm(self) -> np.ndarray:
        """Distance between the centres of each level and the next, shape (levels - 1,)."""
        centres = self.centres[self.levels] * self.spacing_mm
        return np.linalg.norm(np.diff(centres, axis=0), axis=1)

    @cached_property
    def gaps(self) -> np.ndarray:
        """Whether a vertebra may be missing between each level and the next."""
        steps = self.steps_mm
        wide = np.zeros(len(steps), bool)
        for place in range(len(steps)):
            others = np.delete(steps[max(place - 2, 0) : place + 3], min(place, 2))
            wide[place] = len(others) > 0 and steps[place] > DISTANT * np.median(others)
        return wide
