"""One class of one window's answer: a mask in its bounding box."""

from dataclasses import dataclass

import numpy as np

from columna.images.triple import three
from columna.images.volume import Box


@dataclass(frozen=True, eq=False)
class Part:
    """A predicted vertebra, stored sparsely.

    Parameters
    ----------
    window
        Number of the window (and of its centre) that it comes from.
    box
        Its bounding box in the crop that all windows were cut from.
    mask
        Boolean voxels inside `box`.
    """

    window: int
    box: Box
    mask: np.ndarray
    voxels: int

    def dice(self, other: "Part") -> float:
        """Dice with another part, 2 |A and B| / (|A| + |B|)."""
        common = [
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(self.box, other.box, strict=True)
        ]
        if any(s.start >= s.stop for s in common):
            return 0.0
        both = np.count_nonzero(self._inside(common) & other._inside(common))
        return 2 * both / (self.voxels + other.voxels)

    def _inside(self, box: list[slice]) -> np.ndarray:
        return self.mask[relative(box, self.box)]


def relative(box: Box | list[slice], origin: Box) -> Box:
    """Express `box` in indices of an array that covers `origin`."""
    return three(
        slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, origin, strict=True)
    )


def enclosing(boxes: list[Box]) -> Box:
    """Return the smallest box around `boxes`."""
    return three(
        slice(min(s.start for s in axis), max(s.stop for s in axis))
        for axis in zip(*boxes, strict=True)
    )
