"""The coronal curve (docs/measures.md#g13)."""

from collections.abc import Sequence

import numpy as np

from columna.measure.anatomy.angles import tilt_deg
from columna.measure.anatomy.body import Body
from columna.measure.anatomy.endplate_ends import S1, Ends
from columna.measure.anatomy.frame import unit
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import Missing
from columna.tables.schema import Row

LEAST_APART = 2
"""End vertebrae of a curve are at least so many levels apart."""
LEAST_VERTEBRAE = 3


def coronal_curve(ends: Ends) -> Row:
    """Largest Cobb angle, its ends and side, noise of the tilts, deviation and rotation."""
    fitted = [(b, planes) for b in ends.complete if (planes := b.planes) is not None]
    bodies = [body for body, _ in fitted]
    if len(bodies) < LEAST_VERTEBRAE:
        lack = ends.few_failure(ends.geometry.bodies, bodies, LEAST_VERTEBRAE)
        return {"coronal_status": lack}
    if _is_interrupted(ends, bodies):
        return {"coronal_status": LATERAL_CUT}
    superior = ends.geometry.chord
    right = ends.geometry.mean_right(None)
    right = unit(right - (right @ superior) * superior)
    tilts = np.array(
        [[tilt_deg(p.normal, right, superior) for p in planes] for _, planes in fitted]
    )
    return {
        "coronal_status": "ok",
        **_cobb(bodies, tilts, right),
        "coronal_tilt_noise_deg": tilt_noise_deg(tilts.mean(axis=1)),
        "lateral_deviation_max_mm": _deviation(ends, bodies, right),
        "axial_rotation_range_deg": _rotation_range(bodies, right, superior),
    }


def _is_interrupted(ends: Ends, bodies: Sequence[Body]) -> bool:
    """Whether the curve leaves the view between `bodies`: its apex may be where it is not seen."""
    row = ends.geometry.bodies
    between = row[row.index(bodies[0]) : row.index(bodies[-1])]
    return any(body.crop.is_lateral_cut for body in between)


def tilt_noise_deg(tilts: np.ndarray) -> float:
    """Standard deviation of single tilts, from how each differs from the mean of its neighbours.

    Such a difference has 3/2 of a tilt's variance. A curve adds its own bend to it, which over
    three levels is small.
    """
    rest = tilts[1:-1] - (tilts[:-2] + tilts[2:]) / 2
    return float(np.sqrt(np.mean(rest**2) * 2 / 3))


def _cobb(bodies: Sequence[Body], tilts: np.ndarray, right: np.ndarray) -> Row:
    n = len(bodies)
    pairs = [(i, j) for i in range(n) for j in range(i + LEAST_APART, n)]
    angles = [tilts[i, 0] - tilts[j, 1] for i, j in pairs]
    best = int(np.argmax(np.round(np.abs(angles), 9)))
    upper, lower = pairs[best]
    inside = bodies[upper : lower + 1]
    offset = _across(inside, inside[0].crop.centroid_mm, inside[-1].crop.centroid_mm, right)
    return {
        "coronal_cobb_max_deg": abs(angles[best]),
        "cobb_upper": bodies[upper].level,
        "cobb_lower": bodies[lower].level,
        "cobb_apex": inside[int(np.argmax(np.round(np.abs(offset), 9)))].level,
        # where the upper end leans to the left, the curve bulges to the right
        "cobb_side": "right" if angles[best] < 0 else "left",
    }


def _deviation(ends: Ends, bodies: Sequence[Body], right: np.ndarray) -> float:
    """Largest lateral distance of a body from the chord C7 (or first) to S1 (or last)."""
    start = next((i for i, b in enumerate(bodies) if b.level == "C7"), 0)
    below = bodies[start:] if len(bodies) - start >= LEAST_VERTEBRAE else bodies
    sacral = ends.find(S1, "superior")
    last = below[-1].crop.centroid_mm if isinstance(sacral, Missing) else sacral.value.point
    return float(np.abs(_across(below, below[0].crop.centroid_mm, last, right)).max())


def _across(
    bodies: Sequence[Body], first: np.ndarray, last: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Signed distance of each body from a chord, along `right`."""
    chord = unit(last - first)
    lateral = unit(right - (right @ chord) * chord)
    return np.array([(b.crop.centroid_mm - first) @ lateral for b in bodies])


def _rotation_range(bodies: Sequence[Body], right: np.ndarray, superior: np.ndarray) -> float:
    anterior = np.cross(superior, right)
    turns = [np.arctan2(b.frame.own_a @ right, b.frame.own_a @ anterior) for b in bodies]
    return float(np.rad2deg(np.ptp(turns)))
