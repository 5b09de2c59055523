"""Endplates by level and side: the ends of regional angles and lengths (docs/measures.md#g12)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.measure.anatomy.angles import elevation_deg
from columna.measure.anatomy.body import Body, Line
from columna.measure.anatomy.frame import unit
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.visibility import weakest
from columna.measure.tools.statuses import commonest
from columna.tables.common import SAGITTAL_CODES
from columna.tables.finish import Measured, Missing
from columna.tables.schema import Row

S1 = levels()[SACRUM].name
ORDER = {level.name: level.level_order for level in levels().values()}
"""Level -> anatomical rank."""
EndName = tuple[str, str]
"""Level and side of an endplate."""


@dataclass(frozen=True, eq=False)
class Ends:
    """The endplates of a scan, by level.

    Parameters
    ----------
    vertebrae
        Rows of the table `vertebrae`.
    geometry
        Of the same scan.
    """

    vertebrae: Sequence[Row]
    geometry: Geometry

    @property
    def complete(self) -> tuple[Body, ...]:
        """Complete bodies with a name and both endplates, in craniocaudal order."""
        return tuple(b for b in self.with_middle if b.is_complete)

    @property
    def with_middle(self) -> tuple[Body, ...]:
        """Bodies with a name and both endplates, also those cut at a side, in the same order."""
        return tuple(b for b in self.geometry.bodies if b.level and b.has_middle and _both(b))

    def find(self, level: str, side: str) -> Measured[Line] | Missing:
        """Return the ``superior`` or ``inferior`` endplate of a level; S1 has its superior one."""
        if level == S1:
            return self._sacral()
        row = next(r for r in self.vertebrae if r["level"] == level)
        body = self.geometry.by_label.get(row["spineps_label"])
        if row["body_status"] not in SAGITTAL_CODES or body is None:
            return Missing(row["body_status"])
        if body.frame.status != "ok":
            return Missing(body.frame.status)
        line = body.plate(side)
        return Missing("fit_failed") if line is None else Measured(line, body.fit_status)

    def pair(self, upper: EndName, lower: EndName) -> Measured[tuple[Line, Line]] | Missing:
        """Two endplates that something is measured between."""
        first, last = self.find(*upper), self.find(*lower)
        if isinstance(first, Missing):
            return first
        if isinstance(last, Missing):
            return last
        return Measured((first.value, last.value), weakest(first.code, last.code))

    def few_failure(self, bodies: Sequence[Body], usable: Sequence[Body], least: int) -> str:
        """Why fewer than `least` of `bodies` are among the `usable` ones."""
        if len(bodies) < least:
            return "outside_fov"
        return commonest((self._lack(b) for b in bodies if b not in usable), "outside_fov")

    def _lack(self, body: Body) -> str:
        if body.level is None:
            return "no_anchor"
        if body.status not in SAGITTAL_CODES or (body.crop.is_lateral_cut and _both(body)):
            return body.status
        return "fit_failed" if body.frame.status == "ok" else body.frame.status

    def failure(self, level: str) -> str:
        """Why a level is not among those with both endplates."""
        codes = [self.find(level, side).code for side in ("superior", "inferior")]
        return next((code for code in codes if code not in SAGITTAL_CODES), "fit_failed")

    def _sacral(self) -> Measured[Line] | Missing:
        if self.geometry.sacrum is None:
            return Missing("outside_fov")
        end = self.geometry.sacral_end
        return end if isinstance(end, Missing) else Measured(end.value.line, end.code)

    def right(self, upper: str, lower: str) -> np.ndarray:
        """Mean of the axes r of the vertebrae between two levels, these included."""
        frames = [
            body.frame
            for body in self.geometry.bodies
            if body.level and ORDER[upper] <= ORDER[body.level] <= ORDER[lower]
        ]
        fitted = [f.r for f in frames if f.status == "ok"] or [f.r for f in frames]
        if fitted:
            return unit(np.sum(fitted, axis=0))
        return self.geometry.mean_right(None)


def lordosis_deg(upper: Line, lower: Line, right: np.ndarray) -> float:
    """Angle between two endplates in the plane of `right`, positive = lordotic."""
    return elevation_deg(upper.direction, right) - elevation_deg(lower.direction, right)


def _both(body: Body) -> bool:
    return body.plate("superior") is not None and body.plate("inferior") is not None
