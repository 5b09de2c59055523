"""The curve through bodies and discs (docs/measures.md#g2)."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import interpolate
from scipy.spatial import cKDTree

RESIDUAL_MM = 1.0
"""The curve is as smooth as a root mean square residual of this allows."""
LEAST_POINTS = 4
_APART_MM = 0.5
_SAMPLE_MM = 1.0


@dataclass(frozen=True, eq=False)
class SpineCurve:
    """Smooth curve from cranial to caudal, by position u in mm (along the chords of its points).

    Beyond its ends the curve goes on straight.

    Parameters
    ----------
    spline
        Cubic spline of u, or None for a straight line.
    start, towards
        Of the straight line: its point at u = 0 and its unit vector (caudal), shape (3,).
    end_mm
        u of the last point; the first is at 0.
    is_low_support
        Whether there were too few points for more than a straight line.
    """

    spline: interpolate.BSpline | None
    start: np.ndarray
    towards: np.ndarray
    end_mm: float
    is_low_support: bool

    @classmethod
    def fit(cls, points: np.ndarray, residual_mm: float = RESIDUAL_MM) -> "SpineCurve":
        """Fit `points`, RAS+ mm, shape (k, 3), k >= 1, in craniocaudal order.

        The root mean square residual of the smoothest admissible curve is `residual_mm`.
        """
        points = _apart(np.asarray(points, float).reshape(-1, 3))
        u = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        if len(points) < LEAST_POINTS:
            return cls(None, *_line(points), end_mm=float(u[-1]), is_low_support=True)
        fitted: Any = interpolate.splprep(points.T, u=u, k=3, s=len(points) * residual_mm**2)
        (knots, coefficients, degree), _ = fitted  # of any of three types each, says its stub
        spline = interpolate.BSpline(knots, np.stack(coefficients, axis=1), degree)
        return cls(spline, points[0], np.zeros(3), float(u[-1]), is_low_support=False)

    def at(self, u: float | np.ndarray) -> np.ndarray:
        """Points of the curve, RAS+ mm, shape (..., 3)."""
        u = np.asarray(u, float)[..., None]
        if self.spline is None:
            return self.start + u * self.towards
        inside = np.clip(u, 0.0, self.end_mm)
        ends = self.spline(inside[..., 0])
        return ends + (u - inside) * _unit(self.spline(inside[..., 0], 1))

    def tangent(self, u: float | np.ndarray) -> np.ndarray:
        """Unit vectors along the curve, pointing cranially, shape (..., 3)."""
        u = np.asarray(u, float)
        if self.spline is None:
            return np.broadcast_to(-self.towards, (*u.shape, 3)).copy()
        return -_unit(self.spline(np.clip(u, 0.0, self.end_mm), 1))

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Position u of the place of the curve nearest to `points`, shape (..., 3) -> (...)."""
        points = np.asarray(points, float)
        if self.spline is None:
            return (points - self.start) @ self.towards
        _, at = self._samples[1].query(points)
        u = self._samples[0][at]
        for _ in range(2):
            ahead = ((points - self.at(u)) * -self.tangent(u)).sum(axis=-1)
            # where the curve ends it goes on straight; elsewhere the sample is near already
            is_inside = (u > 0) & (u < self.end_mm)
            u = u + np.where(is_inside, np.clip(ahead, -_SAMPLE_MM, _SAMPLE_MM), ahead)
        return u

    def arc_mm(self, u: float | np.ndarray) -> np.ndarray:
        """Arc length of the curve from its first point to `u`; negative before it."""
        if self.spline is None:
            return np.asarray(u, float)
        samples, lengths = self._samples[0], self._lengths
        beyond = np.asarray(u, float) - np.clip(u, 0.0, self.end_mm)
        return np.interp(u, samples, lengths) + beyond

    @property
    def length_mm(self) -> float:
        """Arc length between its ends."""
        return float(self.arc_mm(self.end_mm))

    @cached_property
    def _samples(self) -> tuple[np.ndarray, cKDTree]:
        u = np.linspace(0.0, self.end_mm, int(np.ceil(self.end_mm / _SAMPLE_MM)) + 1)
        return u, cKDTree(self.at(u))

    @cached_property
    def _lengths(self) -> np.ndarray:
        steps = [np.linalg.norm(b - a) for a, b in pairwise(self.at(self._samples[0]))]
        return np.concatenate([[0.0], np.cumsum(steps)])


def _apart(points: np.ndarray) -> np.ndarray:
    """Leave out points that coincide with the one before: chords need a length."""
    kept = [points[0]]
    for point in points[1:]:
        if np.linalg.norm(point - kept[-1]) > _APART_MM:
            kept.append(point)
    return np.array(kept)


def _line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First point and direction of the straight line through the first and last of `points`."""
    if len(points) == 1:
        return points[0], np.array([0.0, 0.0, -1.0])
    return points[0], _unit(points[-1] - points[0])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
