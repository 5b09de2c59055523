"""Sampling error of discs, angles and listhesis: spaces of known shape at the slices of real scans.

    python benchmarks/measure_discs.py --n 30 [--spacing 3.3 0.857 0.857] [--tilt 25]

Prints bias and SD per column of the table discs, and of the angles of the table spine.
"""

import argparse
from dataclasses import replace
from itertools import pairwise

import numpy as np

from columna.phantom.known.exact import Bone, ExactSpine, Segment, SpinePose, stack
from phantom_errors import LABELS, Errors, measured, poses

REGIONS = {
    "cervical": (("C4", "C5", "C6", "C7"), Segment(0, 13.5, 16, 19, gap=6, canal=(13, 20)), 5.0),
    "thoracic": (("T7", "T8", "T9", "T10"), Segment(0, 20, 27, 29, gap=6, canal=(14, 17)), 3.0),
    "lumbar": (
        ("L1", "L2", "L3", "L4", "L5", "S1"),
        Segment(0, 27, 34, 46, gap=10, canal=(16, 23)),
        6.0,
    ),
}
_BASE_DEG = {"cervical": 0.0, "thoracic": 0.0, "lumbar": 25.0}
"""Tilt of the lowest bone about which the spines are turned."""
FRACTIONS = {"posterior": 0.16, "middle": 0.5, "anterior": 0.84}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=30, help="spines per region")
    parser.add_argument("--spacing", type=float, nargs=3, default=(3.3, 0.857, 0.857))
    parser.add_argument("--tilt", type=float, default=25.0, help="largest sagittal tilt")
    options = parser.parse_args()
    errors = Errors()
    for number, (region, (names, usual, spread)) in enumerate(REGIONS.items()):
        rng = np.random.default_rng(100 + number)
        for pose, offset in poses(options.n, number, options.tilt):
            segments = [_varied(usual, name, spread, rng) for name in names]
            tilted = replace(pose, forward=pose.forward + _BASE_DEG[region])
            _add(errors, region, segments, tilted, tuple(options.spacing), offset)
    print(errors.table())


def _varied(usual: Segment, name: str, spread: float, rng: np.random.Generator) -> Segment:
    """A vertebra with a random wedge and space; endplates are flat."""
    angle, wedge, lateral = rng.normal(0, spread, 3)
    return replace(
        usual,
        label=LABELS[name],
        gap=usual.gap * float(rng.uniform(0.85, 1.2)),
        angle=float(angle) + (6 if name[0] == "L" else 0),
        wedge=float(wedge) / 2 if name != "S1" else 0.0,
        lateral=float(lateral) / 2,
        slip=float(rng.normal(0, 1.5)),
    )


def _add(
    errors: Errors,
    region: str,
    segments: list[Segment],
    pose: SpinePose,
    spacing: tuple[float, float, float],
    offset: tuple[float, float, float],
) -> None:
    spine = stack(segments, pose)
    tables = measured(spine, spacing, offset)
    rows = {row["spineps_label"]: row["vertebra"] for row in tables["vertebrae"]}
    discs = {row["vertebra_upper"]: row for row in tables["discs"]}
    for upper, lower in pairwise(spine.bones):
        row = discs[rows[upper.segment.label]]
        for column, truth in _truth(upper, lower, spine.endplate_mm).items():
            errors.add(region, column, row[column], truth)
        errors.add(region, "tiling_residual_mm", row["tiling_residual_mm"], 0.0)
    if region == "lumbar":
        angles = sum(s.angle for s in segments[:-1]) - sum(s.wedge for s in segments[:-1])
        [whole] = tables["spine"]
        for column, truth in (
            ("lumbar_lordosis_l1_s1_deg", angles),
            ("lordosis_closure_deg", 0.0),
            ("coronal_cobb_max_deg", _true_cobb(spine)),
            ("sum_gap_l1_s1_mm", sum(s.gap for s in segments[:-1])),
            ("sum_body_height_l1_l5_mm", sum(s.height for s in segments[:-1])),
        ):
            errors.add(region, column, whole[column], truth)


def _true_cobb(spine: ExactSpine) -> float:
    """Largest coronal angle of vertebrae at least two levels apart, seen across their chord."""
    bones = spine.bones[:-1]
    chord = bones[0].middle[:3, 3] - bones[-1].middle[:3, 3]
    chord /= np.linalg.norm(chord)
    right = sum(bone.middle[:3, 0] for bone in bones)
    right -= (right @ chord) * chord
    right /= np.linalg.norm(right)

    def tilt(frame: np.ndarray) -> float:
        return float(np.rad2deg(np.arctan2(frame[:3, 2] @ right, frame[:3, 2] @ chord)))

    n = len(bones)
    pairs = [(i, j) for i in range(n) for j in range(i + 2, n)]
    return max(abs(tilt(bones[i].upper) - tilt(bones[j].lower)) for i, j in pairs)


def _truth(upper: Bone, lower: Bone, plate_mm: float) -> dict[str, float]:
    """Column of the table discs -> its true value."""
    s, half = upper.segment, np.deg2rad(upper.segment.angle / 2)
    corners = upper.corner("lower", "posterior"), lower.corner("upper", "posterior")
    truth = {
        "disc_depth_mm": (s.depth + lower.segment.depth) / 2,
        "disc_width_mm": (s.width + lower.segment.width) / 2,
        "disc_angle_deg": s.angle,
        "segment_angle_deg": s.angle - s.wedge,
        "disc_lateral_angle_deg": s.lateral,
        "listhesis_mm": float((corners[0] - corners[1]) @ lower.upper[:3, 1]),
        "gap_mean_mm": s.gap,
    }
    for name, fraction in FRACTIONS.items():
        gap = s.gap + 2 * np.tan(half) * (fraction - 0.5) * truth["disc_depth_mm"]
        truth[f"gap_{name}_mm"] = gap
        truth[f"disc_height_{name}_mm"] = gap - 2 * plate_mm / np.cos(half)
    return truth


if __name__ == "__main__":
    main()
