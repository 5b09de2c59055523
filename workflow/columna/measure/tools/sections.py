"""Cross-sections of a tube: areas and diameters in planes, from the native mask (G11)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from columna.measure.tools.sampling import INSIDE, Indicator

R_STEP_MM = 0.5
A_STEP_MM = 0.25
"""Distances of samples in a plane; crossings between them are interpolated linearly."""
_LEAST_ROWS = 4
_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = True


@dataclass(frozen=True, eq=False)
class Planes:
    """Planes across a tube.

    Parameters
    ----------
    centre, right, anterior
        A point of each plane, RAS+ mm, and orthogonal unit vectors in it, shape (n, 3).
    """

    centre: np.ndarray
    right: np.ndarray
    anterior: np.ndarray

    def sample(self, indicator: Indicator, r: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Values of a mask on the grid of places (r, a) of every plane, (n, len(r), len(a))."""
        return indicator.on_planes(self.centre, (self.right, self.anterior), (r, a))

    def at(self, r: np.ndarray, a: np.ndarray) -> np.ndarray:
        """One place (r, a) per plane, shape (n,) each, as RAS+ mm, shape (n, 3)."""
        return self.centre + r[:, None] * self.right + a[:, None] * self.anterior


@dataclass(frozen=True, eq=False)
class Sections:
    """A mask sampled in planes; of each plane only the largest component.

    Parameters
    ----------
    r, a
        Places of the samples to the right and to anterior, `R_STEP_MM` and `A_STEP_MM` apart.
    values
        Interpolated mask, shape (n, len(r), len(a)).
    share
        Share of the largest component in what the plane holds, shape (n,); 0 in empty planes.
    """

    r: np.ndarray
    a: np.ndarray
    values: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, indicator: Indicator, planes: Planes, r: np.ndarray, a: np.ndarray) -> "Sections":
        """Sample `indicator` at places `r` and `a` (see `window`) of all planes."""
        values = planes.sample(indicator, r, a)
        share = _keep_largest(values)
        return cls(r, a, values, share)

    def inner_window(self) -> tuple[np.ndarray, np.ndarray]:
        """Places r and a of the smallest window that holds all sections and one sample more."""
        inside = np.any(self.values >= INSIDE, axis=0)
        return _reduced(self.r, np.any(inside, axis=1)), _reduced(self.a, np.any(inside, axis=0))

    @cached_property
    def walls(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior and anterior wall along a at every r, shape (n, len(r)); NaN outside."""
        return _ends(self.values, self.a, A_STEP_MM)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length inside along a at every r, shape (n, len(r))."""
        return _inside_length(self.values)

    @cached_property
    def area_mm2(self) -> np.ndarray:
        """Area of every section, shape (n,)."""
        return self.lengths.sum(axis=1) * R_STEP_MM

    @cached_property
    def centroid(self) -> tuple[np.ndarray, np.ndarray]:
        """Centroids (r, a), shape (n,) each; (0, 0) of empty sections."""
        inside = self.values >= INSIDE
        count = np.maximum(inside.sum(axis=(1, 2)), 1)
        r = (inside.sum(axis=2) * self.r).sum(axis=1) / count
        return r, (inside.sum(axis=1) * self.a).sum(axis=1) / count

    def ap_mm(self, band_mm: float, middle_r: np.ndarray | None = None) -> np.ndarray:
        """Largest extent along a within `band_mm` of `middle_r` (the centroid), shape (n,)."""
        middle_r = self.centroid[0] if middle_r is None else middle_r
        extent = np.nan_to_num(self.walls[1] - self.walls[0])
        is_near = np.abs(self.r - middle_r[:, None]) <= max(band_mm, R_STEP_MM / 2 + 1e-6)
        return np.where(is_near, extent, 0.0).max(axis=1)

    def deepest_r(self, margin_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Places r where sections that are cut at a side are deepest, shape (n,).

        Squared depths of an ellipse are a parabola over r, whose vertex is its middle whatever is
        seen of it. The second array says whether it is seen: the place lies farther than
        `margin_mm` from both ends. What is nearer to them than half of that is no depth: there the
        mask fades into what lies beyond the field of view.
        """
        extent = np.nan_to_num(self.walls[1] - self.walls[0])
        found = [self._vertex(row, margin_mm) for row in extent]
        return np.array([r for r, _ in found]), np.array([is_seen for _, is_seen in found])

    def _vertex(self, extent: np.ndarray, margin_mm: float) -> tuple[float, bool]:
        hit = self.r[extent > 0]
        if not len(hit):
            return 0.0, False
        within = (self.r >= hit[0] + margin_mm / 2) & (self.r <= hit[-1] - margin_mm / 2)
        if within.sum() < _LEAST_ROWS:
            return float(hit.mean()), False
        bend, slope, _ = np.polyfit(self.r[within], extent[within] ** 2, 2)
        if bend >= 0:
            return float(hit.mean()), False
        vertex = -slope / (2 * bend)
        return float(vertex), bool(hit[0] + margin_mm < vertex < hit[-1] - margin_mm)

    @cached_property
    def rl_mm(self) -> np.ndarray:
        """Extent along r through the centroid, shape (n,)."""
        row = np.abs(self.a - self.centroid[1][:, None]).argmin(axis=1)
        through = np.take_along_axis(self.values, row[:, None, None], axis=2)[:, :, 0]
        first, last = _ends(through, self.r, R_STEP_MM)
        return np.nan_to_num(last - first)

    def walls_at(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior and anterior wall at the row nearest to one r per plane, shape (n,).

        NaN in empty planes.
        """
        distance = np.abs(self.r - r[:, None])
        row = np.where(np.isfinite(self.walls[0]), distance, np.inf).argmin(axis=1)
        return tuple(wall[np.arange(len(r)), row] for wall in self.walls)

    def corners(self, planes: Planes) -> np.ndarray:
        """Corners of the rectangle around each section, RAS+ mm, shape (4, n, 3)."""
        posterior, anterior = self.walls
        is_hit = np.isfinite(posterior)
        low_a = np.where(is_hit, posterior, np.inf).min(axis=1)
        high_a = np.where(is_hit, anterior, -np.inf).max(axis=1)
        low_r = np.where(is_hit, self.r, np.inf).min(axis=1)
        high_r = np.where(is_hit, self.r, -np.inf).max(axis=1)
        is_empty = ~is_hit.any(axis=1)
        ends = [np.where(is_empty, 0.0, end) for end in (low_r, high_r, low_a, high_a)]
        return np.stack([planes.at(ends[i], ends[j]) for i in (0, 1) for j in (2, 3)])


def window(reach_r_mm: float, reach_a_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Places r and a of samples that reach so far to all sides."""
    return _axis(reach_r_mm, R_STEP_MM), _axis(reach_a_mm, A_STEP_MM)


def _axis(reach_mm: float, step_mm: float) -> np.ndarray:
    n = int(np.ceil(reach_mm / step_mm)) + 1
    return step_mm * np.arange(-n, n + 1)


def _reduced(places: np.ndarray, is_needed: np.ndarray) -> np.ndarray:
    """The needed places and one more on both sides; at least two."""
    needed = np.flatnonzero(is_needed)
    if not len(needed):
        return places[:2]
    return places[max(needed[0] - 1, 0) : needed[-1] + 2]


def _keep_largest(values: np.ndarray) -> np.ndarray:
    """Set what is inside but not of a plane's largest component to 0, in place; return shares."""
    inside = values >= INSIDE
    labels, n = ndimage.label(inside, _IN_PLANE)
    total = inside.sum(axis=(1, 2))
    if n == np.count_nonzero(total):
        return (total > 0).astype(float)
    counts = np.bincount(labels.reshape(-1), minlength=n + 1)
    at = np.nonzero(inside)
    plane_of = np.zeros(n + 1, int)
    plane_of[labels[at]] = at[0]
    by_size = np.argsort(-counts[1:], kind="stable")[::-1] + 1
    largest = np.full(len(values), -1)
    largest[plane_of[by_size]] = by_size  # the last, that is the largest, stays
    values[inside & (labels != largest[:, None, None])] = 0
    return np.where(total > 0, counts[largest] / np.maximum(total, 1), 0.0)


def _ends(values: np.ndarray, places: np.ndarray, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last crossing along the last axis, shape of the others; NaN where never inside."""
    inside = values >= INSIDE
    is_hit = inside.any(axis=-1)
    m = values.shape[-1]
    first, last = inside.argmax(axis=-1), m - 1 - inside[..., ::-1].argmax(axis=-1)
    low = places[first] - step_mm * _share(values, first, np.maximum(first - 1, 0))
    high = places[last] + step_mm * _share(values, last, np.minimum(last + 1, m - 1))
    return np.where(is_hit, low, np.nan), np.where(is_hit, high, np.nan)


def _share(values: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """How far from a sample inside towards one outside the surface lies, 0 to 1."""
    inner_value = np.take_along_axis(values, inner[..., None], axis=-1)[..., 0]
    outer_value = np.take_along_axis(values, outer[..., None], axis=-1)[..., 0]
    drop = inner_value - outer_value
    return np.where(drop > 0, (inner_value - INSIDE) / np.where(drop > 0, drop, 1), 0.0)


def _inside_length(values: np.ndarray) -> np.ndarray:
    """Length inside along the last axis, a; between two samples the mask is linear."""
    before, after = values[..., :-1], values[..., 1:]
    high, low = np.maximum(before, after), np.minimum(before, after)
    crossed = (high - INSIDE) / np.maximum(high - low, 1e-6)
    return np.where(low >= INSIDE, 1.0, np.clip(crossed, 0.0, 1.0)).sum(axis=-1) * A_STEP_MM
