"""What naming sees of a spine: the sequence of bodies, the sacrum, and the edge of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from columna.anatomy import Semantic
from columna.images.triple import three
from columna.images.volume import Box, Volume
from columna.label.components import INFERIOR, Components, centres_of

MIN_BODY_RATIO = 0.05
"""An instance whose body is smaller than this times the median body is no level of its own."""
FRAGMENT_RATIO = 0.35
"""A body without processes that is smaller than this times its neighbours' is a piece of something
else: of S1 where the network calls the upper sacrum a body, or the tip of a dens."""
BARE_RATIO = 1.5
"""An instance up to this much larger than its body has no processes, but a stray voxel or two of
those of a neighbour. Vertebrae are at least twice as large as their bodies."""
EDGE_MM = 2.0
"""A body nearer to the upper image edge than this is cut."""
DISTANT = 1.6
"""Steps from body to body this much longer than their neighbours hint at a missed vertebra."""


@dataclass(frozen=True, eq=False)
class SeenSpine:
    """Masks in (P, I, R) with an empty frame, instances numbered 1..n from top to bottom.

    Parameters
    ----------
    semantic, instance
        The masks.
    spaces
        Pieces of discs and endplates.
    scan
        The whole scan in (P, I, R). The rules here look at its grid only; a learned labeller
        looks at `image`, and asks the label stage for a scan with voxels.
    box
        Where the masks, without their frame, lie in it.
    """

    semantic: np.ndarray
    instance: np.ndarray
    spaces: Components
    scan: Volume
    box: Box

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size, shape (3,)."""
        return self.scan.spacing_mm

    @property
    def rows_above(self) -> int:
        """Image rows above the first row of the masks (-1 where the frame lies outside)."""
        return self.box[INFERIOR].start - 1

    @cached_property
    def image(self) -> np.ndarray:
        """The scan's voxels under the masks, frame included."""
        return np.pad(self.scan.array[self.box], 1)

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

    def body_box(self, instance: int) -> Box:
        """Bounding box of the body of an instance; ValueError where it has none."""
        box = self._body_boxes[instance - 1]
        if box is None:
            raise ValueError(f"instance {instance} has no body")
        return three(box)

    @cached_property
    def _body_boxes(self) -> Sequence[tuple[slice, ...] | None]:
        return ndimage.find_objects(self.bodies, self.count)

    @cached_property
    def levels(self) -> list[int]:
        """The instances that count as vertebrae, from top to bottom: those with a real body."""
        return [i for i in self._with_body if i not in self.fragments]

    @cached_property
    def fragments(self) -> list[int]:
        """Instances with a body that are pieces of something else, from top to bottom."""
        ordered = self._with_body
        return [i for place, i in enumerate(ordered) if self._is_fragment(ordered, place)]

    @cached_property
    def pieces(self) -> set[int]:
        """The instances that count as no vertebrae: fragments, specks, and those without a body.

        None in masks that hold no bodies at all: there nothing can be told apart.
        """
        return set(range(1, self.count + 1)) - set(self.levels) if self.levels else set()

    @cached_property
    def _with_body(self) -> list[int]:
        sizes = self.body_voxels[1:]
        if not sizes.any():
            return []
        least = MIN_BODY_RATIO * np.median(sizes[sizes > 0])
        found = [i for i in range(1, self.count + 1) if self.body_voxels[i] >= max(least, 1)]
        return sorted(found, key=lambda i: self.centres[i, INFERIOR])

    def is_cut_above(self, instance: int) -> bool:
        """Whether the upper image edge cuts the body of an instance."""
        first_row = self.rows_above + self.body_box(instance)[INFERIOR].start
        return bool(first_row * self.spacing_mm[INFERIOR] < EDGE_MM)

    def _is_fragment(self, ordered: list[int], place: int) -> bool:
        """Whether a body is too small beside its neighbours, bare, and not cut by the image."""
        instance, others = ordered[place], ordered[max(place - 2, 0) : place + 3]
        beside = [self.body_voxels[i] for i in others if i != instance]
        if not beside or self.body_voxels[instance] >= FRAGMENT_RATIO * np.median(beside):
            return False
        if np.count_nonzero(self.instance == instance) > BARE_RATIO * self.body_voxels[instance]:
            return False  # it has processes
        is_lowest = place == len(ordered) - 1
        # an island of the sacrum's label proves nothing
        sacrum = np.count_nonzero(self.semantic == Semantic.SACRUM)
        ends_in_sacrum = bool(sacrum > self.body_voxels[instance])
        return ends_in_sacrum if is_lowest else not self.is_cut_above(instance)

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
