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
"""An instance whose body is smaller than this times the median body is a speck, no vertebra."""


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
        """The instances that may be vertebrae, from top to bottom: those with a real body."""
        sizes = self.body_voxels[1:]
        if not sizes.any():
            return []
        least = MIN_BODY_RATIO * np.median(sizes[sizes > 0])
        found = [i for i in range(1, self.count + 1) if self.body_voxels[i] >= max(least, 1)]
        return sorted(found, key=lambda i: self.centres[i, INFERIOR])

    @cached_property
    def specks(self) -> set[int]:
        """The instances that can be no vertebrae: specks, and those without a body.

        None in masks that hold no bodies at all: there nothing can be told apart.
        """
        return set(range(1, self.count + 1)) - set(self.levels) if self.levels else set()

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel, also of a sheared grid."""
        return self.scan.voxel_volume_mm3

    def to_mm(self, place: np.ndarray) -> np.ndarray:
        """RAS+ mm of voxels of the masks, both of shape (3, n)."""
        start = np.array([[s.start - 1] for s in self.box])
        affine = self.scan.affine
        return affine[:3, :3] @ (place + start) + affine[:3, 3:]

    def edges_mm(self, instance: int) -> np.ndarray:
        """Image before and behind the body of an instance along each axis, mm, shape (3, 2)."""
        room = [
            (inside.start + part.start - 1, size - (inside.start + part.stop - 1))
            for part, inside, size in zip(
                self.body_box(instance), self.box, self.scan.shape, strict=True
            )
        ]
        return np.array(room) * self.spacing_mm[:, None]
