"""Columns through the mid-sagittal band: heights, endplate lines (G6, G7 of docs/measures.md)."""

from dataclasses import dataclass

import numpy as np

from columna.measure.anatomy.band import Band
from columna.measure.anatomy.frame import Frame, cast_columns
from columna.measure.tools.crops import Crop
from columna.measure.tools.robust import finite_median, huber_fit, row_medians

BANDS = {
    "posterior": (0.08, 0.12, 0.16, 0.20),
    "middle": (0.44, 0.50, 0.56),
    "anterior": (0.80, 0.84, 0.88, 0.92),
}
"""Fractions of the depth, from the posterior wall, whose columns make each height."""
LINE_SPAN = (0.12, 0.88)
RIMS = (0.10, 0.90)
LEAST_VALID = 0.6
FRACTIONS = np.array(
    sorted({round(0.08 + 0.04 * i, 2) for i in range(22)} | {0.10, 0.50, 0.90}), float
)


@dataclass(frozen=True, eq=False)
class BandColumns:
    """Hits of columns parallel to s in the band.

    Parameters
    ----------
    fractions
        Fractions of the depth, shape (k,).
    a
        Their places along a, mm from the frame's origin, shape (k,).
    lower, upper
        Surfaces of the body, s in mm from the frame's origin, by fraction and offset, shape
        (k, 7); NaN where a column missed.
    """

    fractions: np.ndarray
    a: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def between(self, low: float, high: float) -> np.ndarray:
        """Whether fractions lie in [low, high], shape (k,)."""
        return (self.fractions > low - 1e-9) & (self.fractions < high + 1e-9)

    def height_mm(self, fractions: tuple[float, ...]) -> float | None:
        """Median height over some fractions and all offsets; None with < 60 % hits."""
        chosen = np.isin(np.round(self.fractions, 6), fractions)
        heights = (self.upper - self.lower)[chosen]
        if np.isfinite(heights).mean() < LEAST_VALID:
            return None
        return finite_median(heights)

    def profile_mm(self) -> np.ndarray | None:
        """Height at each fraction in `LINE_SPAN`, median over offsets; None with < 60 % hits."""
        heights = (self.upper - self.lower)[self.between(*LINE_SPAN)]
        is_hit = np.isfinite(heights)
        if is_hit.mean() < LEAST_VALID:
            return None
        return row_medians(heights[is_hit.any(axis=1)])


def cast_band(body: Crop, frame: Frame, band: Band) -> BandColumns:
    """Cast the columns of the band of `body`."""
    a = band.at_depth(FRACTIONS)
    places = np.stack(np.meshgrid(band.offsets_r, a, indexing="xy"), axis=-1).reshape(-1, 2)
    lower, upper = cast_columns(body, frame, places)
    shape = (len(a), len(band.offsets_r))
    return BandColumns(FRACTIONS, a, lower.reshape(shape), upper.reshape(shape))


def side_height_mm(body: Crop, frame: Frame, band: Band, towards: int) -> float | None:
    """Median height at 0.30 of the width to the right (`towards` = 1) or left (-1)."""
    r = band.middle_r + towards * 0.30 * band.width_mm
    a = band.at_depth(np.linspace(0.4, 0.6, 6))
    lower, upper = cast_columns(body, frame, np.stack([np.full(len(a), r), a], axis=1))
    heights = upper - lower
    return finite_median(heights) if np.isfinite(heights).mean() >= LEAST_VALID else None


@dataclass(frozen=True)
class Hollow:
    """Depth of an endplate below its rims (mm, + = concave), and where (fraction of the depth)."""

    depth_mm: float
    position: float


def hollow(
    fractions: np.ndarray, along: np.ndarray, hits: np.ndarray, outward: int
) -> Hollow | None:
    """Find the largest depth below the chord that joins the rims.

    Parameters
    ----------
    fractions, along
        Fractions of the depth, and their places in mm, shape (k,).
    hits
        Surface by fraction and offset, shape (k, 7); NaN where a column missed.
    outward
        1 for a superior, -1 for an inferior endplate.

    Returns
    -------
    Hollow or None
        Of the median profile over the offsets; None where a rim or the middle was missed.
    """
    rims = [int(np.argmin(np.abs(fractions - rim))) for rim in RIMS]
    between = slice(rims[0], rims[1] + 1)
    slope = (hits[rims[1]] - hits[rims[0]]) / (along[rims[1]] - along[rims[0]])
    chord = hits[rims[0]] + slope * (along[between, None] - along[rims[0]])
    depth = outward * (chord - hits[between])
    profile = row_medians(depth)
    if np.isnan(profile).any():
        return None
    # the largest of noisy values is too large
    profile = np.convolve(np.pad(profile, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    # equal depths next to each other: the first, whatever the last bits say
    deepest = int(np.argmax(np.round(np.abs(profile), 6)))
    return Hollow(float(profile[deepest]), float(fractions[between][deepest]))


@dataclass(frozen=True)
class PlateLine:
    """An endplate in the band: s = height + slope * a, in mm of the frame."""

    height: float
    slope: float


@dataclass(frozen=True)
class WallLine:
    """A wall in the band: a = place + slope * s, in mm of the frame."""

    place: float
    slope: float


def plate_line(columns: BandColumns, hits: np.ndarray) -> PlateLine | None:
    """Huber line through `hits` (upper or lower) within `LINE_SPAN`; None with < 60 % hits."""
    chosen = columns.between(*LINE_SPAN)
    line = _line(columns.a[chosen], hits[chosen])
    return None if line is None else PlateLine(*line)


def wall_line(band: Band, hits: np.ndarray) -> WallLine | None:
    """Huber line through the hits of a wall; None with < 60 % hits."""
    line = _line(band.wall_s, hits)
    return None if line is None else WallLine(*line)


def _line(places: np.ndarray, hits: np.ndarray) -> tuple[float, float] | None:
    """Intercept and slope of hits, shape (k, 7), over their places, shape (k,)."""
    is_hit = np.isfinite(hits)
    if is_hit.mean() < LEAST_VALID:
        return None
    x = np.broadcast_to(places[:, None], hits.shape)[is_hit]
    fit = huber_fit(np.column_stack([np.ones(len(x)), x]), hits[is_hit])
    return None if fit is None else (float(fit.coefficients[0]), float(fit.coefficients[1]))
