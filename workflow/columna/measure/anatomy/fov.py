"""The field of view, and what touches its edge (docs/measures.md#g15)."""

from dataclasses import dataclass

import numpy as np

from columna.images.intensity import imaged_box
from columna.images.volume import Volume
from columna.measure.tools.regions import Region
from columna.tables.common import FACES

_OPPOSITE = {"S": "I", "I": "S", "A": "P", "P": "A", "L": "R", "R": "L"}


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """The part of a grid that was imaged.

    Parameters
    ----------
    start, stop
        Its box, array indices, shape (3,).
    orientation
        Where each array axis runs to.
    spacing_mm
        Voxel size along each array axis, shape (3,).
    margin_mm
        What is nearer than this to the superior or inferior edge counts as cut: masks of cut
        structures often end a little before it.
    """

    start: np.ndarray
    stop: np.ndarray
    orientation: tuple[str, str, str]
    spacing_mm: np.ndarray
    margin_mm: float = 0.0

    @classmethod
    def of(cls, grid: Volume, image: Volume | None, margin_mm: float = 0.0) -> "FieldOfView":
        """Find the part of `image` without the fill around it; without an image, the grid.

        Padding, which many exports and all stitched scans have, thus is outside.
        """
        box = None if image is None else imaged_box(image.array)
        start = [0, 0, 0] if box is None else [s.start for s in box]
        stop = grid.shape if box is None else [s.stop for s in box]
        return cls(
            start=np.array(start),
            stop=np.array(stop),
            orientation=grid.orientation,
            spacing_mm=grid.spacing_mm,
            margin_mm=margin_mm,
        )

    def faces(self, region: Region) -> str:
        """Letters, of SIAPLR and in this order, of the faces that `region` touches."""
        touched = set()
        for axis, end in enumerate(self.orientation):
            if region.start[axis] <= self.start[axis]:
                touched.add(_OPPOSITE[end])
            if region.stop[axis] >= self.stop[axis]:
                touched.add(end)
        return "".join(face for face in FACES if face in touched)

    def room_mm(self, region: Region) -> dict[str, float]:
        """Distance of `region` to the superior (S) and inferior (I) edge; touching is 0."""
        axis = next(i for i, end in enumerate(self.orientation) if end in "SI")
        end = self.orientation[axis]
        below = int(region.start[axis] - self.start[axis])
        above = int(self.stop[axis] - region.stop[axis])
        spacing = float(self.spacing_mm[axis])
        return {_OPPOSITE[end]: max(0, below) * spacing, end: max(0, above) * spacing}

    def distance_mm(self, region: Region) -> float:
        """Smaller distance of `region` to the superior and inferior edge; touching is 0."""
        return min(self.room_mm(region).values())

    def depth_voxels(self, index: np.ndarray, faces: str = "SIAPLR") -> np.ndarray:
        """Distance of places to the nearest of some faces in voxels; negative outside.

        `index` are array indices (the first voxel's centre is 0), shape (..., 3) -> (...); of
        `faces` opposite ones go together.
        """
        axes = [axis for axis, end in enumerate(self.orientation) if end in faces]
        low = index - (self.start - 0.5)
        high = (self.stop - 0.5) - index
        return np.round(np.minimum(low, high)[..., axes].min(axis=-1), 6)
