"""Corners of the bones around a disc: listhesis and overhang (docs/measures.md#g10)."""

from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.body import Body, Line
from columna.measure.anatomy.frame import reach_mm
from columna.measure.anatomy.interspace import Interspace
from columna.measure.anatomy.sacral import SacralPlate
from columna.measure.anatomy.spaces import Space
from columna.measure.tools.crops import Crop
from columna.measure.tools.robust import huber_fit

_SACRAL_ROWS_MM = -np.arange(2.0, 12.1, 1.0)
"""Heights below the endplate of S1 at which its walls are looked for."""
_SACRAL_ROOM_MM = 8.0
"""The posterior wall of S1 is at most so far behind the disc; behind it are canal and lamina."""
_LEAST_VALID = 0.6


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners next to a disc, RAS+ mm, shape (3,) each; None where not known."""

    upper_posterior: np.ndarray | None
    upper_anterior: np.ndarray | None
    lower_posterior: np.ndarray | None
    lower_anterior: np.ndarray | None

    def between(self, wall: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Lower and upper corner of the ``posterior`` or ``anterior`` walls, if both are known."""
        lower, upper = (getattr(self, f"{side}_{wall}") for side in ("lower", "upper"))
        return None if lower is None or upper is None else (lower, upper)


def disc_corners(space: Space, sacrum: Crop | None) -> Corners:
    """Where endplate lines and wall lines of the neighbours meet."""
    upper, lower = space.upper, space.lower
    above = [upper.corner("inferior", w) if upper else None for w in ("posterior", "anterior")]
    if isinstance(lower, Body):
        below = [lower.corner("superior", wall) for wall in ("posterior", "anterior")]
    elif lower is not None:
        below = [sacral_corner(lower, sacrum, wall) for wall in ("posterior", "anterior")]
    else:
        below = [None, None]
    return Corners(*above, *below)


def sacral_corner(plate: SacralPlate, sacrum: Crop | None, wall: str) -> np.ndarray | None:
    """Where the endplate of S1 meets its ``posterior`` or ``anterior`` wall; None without hits."""
    if sacrum is None:
        return None
    frame = plate.frame
    r, a, s = frame.to_local(plate.line.point)
    offsets = r + np.linspace(-1.5, 1.5, 3)
    rows, across = (x.reshape(-1) for x in np.meshgrid(s + _SACRAL_ROWS_MM, offsets))
    starts = frame.to_world(np.stack([across, np.full(len(rows), a), rows], axis=1))
    half = plate.length_mm / 2 + _SACRAL_ROOM_MM
    if wall == "posterior":
        hits = -sacrum.indicator.crossings(starts, -frame.a, 0.0, half)[1]
    else:
        hits = sacrum.indicator.crossings(starts, frame.a, 0.0, reach_mm(sacrum, frame, frame.a))[1]
    # still inside where the search ends: no wall
    is_hit = np.isfinite(hits) & ((wall == "anterior") | (hits > -half + 1e-6))
    if is_hit.mean() < _LEAST_VALID:
        return None
    fit = huber_fit(np.column_stack([np.ones(is_hit.sum()), rows[is_hit] - s]), hits[is_hit])
    if fit is None:
        return None
    place, slope = fit.coefficients
    rise = float(plate.line.direction @ frame.s) / float(plate.line.direction @ frame.a)
    along = place / (1 - slope * rise)
    return frame.to_world([r, a + along, s + rise * along])


def listhesis_mm(corners: Corners, plate: Line) -> float | None:
    """How far the upper posterior corner lies before the lower one, along the endplate below."""
    if corners.upper_posterior is None or corners.lower_posterior is None:
        return None
    return float((corners.upper_posterior - corners.lower_posterior) @ plate.direction)


def overhang_mm(interspace: Interspace, corners: Corners, wall: str) -> float | None:
    """How far the disc reaches beyond the chord between two corners, at most (median across)."""
    ends = corners.between(wall)
    if ends is None:
        return None
    frame = interspace.frame
    (_, low_a, low_s), (_, high_a, high_s) = (frame.to_local(end) for end in ends)
    if high_s - low_s < 1.0:
        return None
    rows = np.linspace(low_s, high_s, max(int((high_s - low_s) / 0.5), 3) + 1)[1:-1]
    s, r = (x.reshape(-1) for x in np.meshgrid(rows, interspace.offsets_r, indexing="ij"))
    starts = frame.to_world(np.stack([r, np.zeros(len(r)), s], axis=1))
    crop = interspace.crop
    reach = reach_mm(crop, frame, frame.a)
    first, last = crop.indicator.crossings(starts, frame.a, -reach, reach)
    chord = low_a + (high_a - low_a) * (s - low_s) / (high_s - low_s)
    beyond = chord - first if wall == "posterior" else last - chord
    beyond = beyond.reshape(len(rows), -1)
    beyond = beyond[np.isfinite(beyond).mean(axis=1) >= _LEAST_VALID]
    return float(np.nanmedian(beyond, axis=1).max()) if len(beyond) else None
