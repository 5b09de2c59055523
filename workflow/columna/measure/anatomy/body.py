"""A vertebral body with its frame, and its outline in the mid-sagittal band (G3 to G7)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from columna.measure.anatomy.band import Band, fit_band
from columna.measure.anatomy.frame import COLUMN_MM, Frame, Plane, cast_columns, centred_grid, unit
from columna.measure.anatomy.heights import (
    BandColumns,
    Hollow,
    PlateLine,
    WallLine,
    cast_band,
    hollow,
    plate_line,
    wall_line,
)
from columna.measure.context import Vertebra
from columna.measure.tools.crops import Crop
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES

SIDES = ("superior", "inferior")


@dataclass(frozen=True, eq=False)
class BodyMasks:
    """The voxels of one vertebra that geometry needs.

    Parameters
    ----------
    vertebra
        Which one.
    region
        Cervical, thoracic or lumbar; None without a name.
    body, arch
        Largest component of the body (cut at a side, what is seen around its middle); all of arch
        and processes, None where there are none.
    sides
        Endplates that can be measured: not those cut off by the field of view, and not the
        superior one of C2, which bears the dens.
    status
        Whether the body is in the field of view, and its level assigned once (G15): the code of
        `columna.measure.anatomy.visibility.body_status`.
    touches_side
        Whether it is cut off at the left or right side.
    """

    vertebra: Vertebra
    region: str | None
    body: Crop
    arch: Crop | None
    sides: tuple[str, ...]
    status: str
    touches_side: bool


@dataclass(frozen=True, eq=False)
class Line:
    """A line in space: point, RAS+ mm, and unit vector, shape (3,) each."""

    point: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True, eq=False)
class Footprint:
    """Columns parallel to s, 1 mm apart, that meet a structure; mm from the frame's origin.

    Parameters
    ----------
    places
        Where along r and a, shape (n, 2).
    lower, upper
        Its surfaces there, s, shape (n,) each.
    """

    places: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, eq=False)
class Body:
    """A body with its frame; what could not be found is None."""

    masks: BodyMasks
    frame: Frame

    @property
    def label(self) -> int:
        """Label in the instance mask."""
        return self.masks.vertebra.label

    @property
    def level(self) -> str | None:
        """Name of the level."""
        return self.masks.vertebra.level

    @property
    def name(self) -> str:
        """Name of the level of a body that has one; ValueError for others."""
        if self.level is None:
            raise ValueError(f"vertebra {self.label} has no name")
        return self.level

    @property
    def region(self) -> str | None:
        """Region of the level."""
        return self.masks.region

    @property
    def crop(self) -> Crop:
        """The body's voxels."""
        return self.masks.body

    @property
    def status(self) -> str:
        """Whether it is in the field of view; cut at a side, whether enough is seen (G15)."""
        is_narrow = self.masks.status == LATERAL_CUT and self.frame.status == "partial_fov"
        return "partial_fov" if is_narrow else self.masks.status

    @property
    def fit_status(self) -> str:
        """Whether its frame was found, as the code of what is measured in it."""
        if self.frame.status == "ok" and self.crop.is_lateral_cut:
            return LATERAL_CUT
        return self.frame.status

    @property
    def is_complete(self) -> bool:
        """Whether all of the body is in the field of view (G15)."""
        return self.status == "ok"

    @property
    def has_middle(self) -> bool:
        """Whether all of its middle is in the field of view, between both endplates."""
        return self.status in SAGITTAL_CODES

    def plane(self, side: str) -> Plane | None:
        """Plane of the ``superior`` or ``inferior`` endplate; its normal points cranially."""
        return self.frame.superior if side == "superior" else self.frame.inferior

    @property
    def planes(self) -> tuple[Plane, Plane] | None:
        """Planes of the superior and the inferior endplate; None where one is not known."""
        superior, inferior = self.frame.superior, self.frame.inferior
        return None if superior is None or inferior is None else (superior, inferior)

    @cached_property
    def band(self) -> Band | None:
        """The mid-sagittal band."""
        return fit_band(self.crop, self.frame) if self.frame.status == "ok" else None

    @cached_property
    def columns(self) -> BandColumns | None:
        """Columns of the band."""
        return None if self.band is None else cast_band(self.crop, self.frame, self.band)

    @cached_property
    def footprint(self) -> Footprint:
        """Columns through all of the body."""
        ends = [((self.crop.points_mm - self.frame.origin) @ axis) for axis in self.frame.axes[:2]]
        sides = [centred_grid((x.min() + x.max()) / 2, np.ptp(x) + COLUMN_MM) for x in ends]
        places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
        lower, upper = cast_columns(self.crop, self.frame, places)
        is_hit = np.isfinite(upper)
        return Footprint(places[is_hit], lower[is_hit], upper[is_hit])

    @cached_property
    def plates(self) -> dict[str, PlateLine]:
        """Side -> endplate line in the frame, of the endplates that can be measured."""
        if self.columns is None:
            return {}
        hits = {"superior": self.columns.upper, "inferior": self.columns.lower}
        lines = {side: plate_line(self.columns, hits[side]) for side in self.masks.sides}
        return {side: line for side, line in lines.items() if line is not None}

    @cached_property
    def walls(self) -> dict[str, WallLine]:
        """``posterior`` and ``anterior`` -> wall line in the frame."""
        if self.band is None:
            return {}
        hits = {"posterior": self.band.posterior_hits, "anterior": self.band.anterior_hits}
        lines = {wall: wall_line(self.band, hits[wall]) for wall in hits}
        return {wall: line for wall, line in lines.items() if line is not None}

    @cached_property
    def hollows(self) -> dict[str, Hollow]:
        """Side -> how hollow the endplate is, of the endplates that can be measured."""
        if self.columns is None:
            return {}
        columns = self.columns
        hits = {"superior": (columns.upper, 1), "inferior": (columns.lower, -1)}
        found = {s: hollow(columns.fractions, columns.a, *hits[s]) for s in self.plates}
        return {side: shape for side, shape in found.items() if shape is not None}

    def plate(self, side: str) -> Line | None:
        """Endplate line in space: its middle (half of the depth), direction to anterior (G7)."""
        return self._plate_lines.get(side)

    @cached_property
    def _plate_lines(self) -> dict[str, Line]:
        lines: dict[str, Line] = {}
        if self.band is None:
            return lines
        for side, line in self.plates.items():
            a = float(self.band.at_depth(0.5))
            point = self.frame.to_world([self.band.middle_r, a, line.height + line.slope * a])
            lines[side] = Line(point, unit(self.frame.a + line.slope * self.frame.s))
        return lines

    def wall(self, wall: str) -> Line | None:
        """Line of the ``posterior`` or ``anterior`` wall: at mid-height, direction cranially."""
        line = self.walls.get(wall)
        if line is None or self.band is None:
            return None
        s = self.band.middle_s
        point = self.frame.to_world([self.band.middle_r, line.place + line.slope * s, s])
        return Line(point, unit(self.frame.s + line.slope * self.frame.a))

    def corner(self, side: str, wall: str) -> np.ndarray | None:
        """Where an endplate line and a wall line meet, RAS+ mm, shape (3,)."""
        plate, line = self.plates.get(side), self.walls.get(wall)
        if plate is None or line is None or self.band is None:
            return None
        a = (line.place + line.slope * plate.height) / (1 - line.slope * plate.slope)
        return self.frame.to_world([self.band.middle_r, a, plate.height + plate.slope * a])
