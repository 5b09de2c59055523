"""Three analytic vertebral bodies in a row, with their true measures (docs/accuracy.md)."""

from dataclasses import dataclass

import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, Semantic
from columna.measure.anatomy.heights import BANDS, LINE_SPAN, RIMS
from columna.measure.context import MeasureContext
from columna.phantom.known.analytic import (
    BodySolid,
    Placed,
    SolidCanvas,
    Tube,
    grid_around,
    turn_deg,
)

SPACING_MM = (3.3, 0.857, 0.857)
PLATE_MM = 1.0


@dataclass(frozen=True)
class BodySize:
    """Typical size of a region's bodies, and what lies next to them, in mm."""

    first_label: int
    levels: tuple[str, str, str]
    width: float
    depth: float
    height: float
    gap: float
    canal: tuple[float, float]


SIZES = {
    "cervical": BodySize(4, ("C4", "C5", "C6"), 19, 16, 13, 7, (19, 12)),
    "thoracic": BodySize(14, ("T7", "T8", "T9"), 29, 27, 19, 6, (16, 13)),
    "lumbar": BodySize(21, ("L2", "L3", "L4"), 46, 34, 27, 11, (23, 16)),
}
"""Region -> sizes, left-right x depth x height, of docs/accuracy.md#bodies-and-endplates."""


def random_body(rng: np.random.Generator, size: BodySize) -> BodySolid:
    """A body with random size (10 %), wedge, concavity and direction."""
    width, depth, height = np.array([size.width, size.depth, size.height]) * rng.uniform(
        0.9, 1.1, 3
    )
    hollow = 0.08 * height
    return BodySolid(
        at=Placed(
            rng.uniform(-5, 5, 3),
            turn_deg(rng.uniform(-30, 30), rng.uniform(-6, 6), rng.uniform(-6, 6)),
        ),
        width=width,
        depth=depth,
        height=height,
        wedge_deg=rng.uniform(-8, 12),
        lateral_deg=rng.uniform(-4, 4),
        hollow_superior=rng.uniform(0.2, 1) * hollow,
        hollow_inferior=rng.uniform(0.2, 1) * hollow,
    )


def body_scan(
    rng: np.random.Generator, body: BodySolid, size: BodySize, spacing_mm: tuple = SPACING_MM
) -> MeasureContext:
    """Masks of `body` between two like it, with endplates, discs and canal."""
    pitch = body.height + size.gap
    places = [body.at.moved([0, 0, step * pitch]) for step in (1, 0, -1)]
    far = np.array([p.centre for p in places])
    behind = -(body.depth / 2 + size.canal[1] / 2 + 4) * body.at.axes[1]
    room = np.concatenate([far, far + behind])
    shape, affine = grid_around(
        room, spacing_mm, margin_mm=max(body.width, body.height) / 2 + 9, shift=rng.uniform(0, 1, 3)
    )
    canvas = SolidCanvas.blank(shape, affine)
    tube = Tube(body.at.moved(body.at.axes @ behind), *size.canal, 3.2 * pitch)
    canvas.paint(tube, Semantic.SPINAL_CANAL)
    for step, place in enumerate(places):
        label = size.first_label + step
        if step < 2:
            disc = Tube(place.moved([0, 0, -pitch / 2]), body.width, body.depth, size.gap + 6)
            canvas.paint(disc, Semantic.DISC, DISC_OFFSET + label)
    for step, place in enumerate(places):
        label = size.first_label + step
        shelled = _copy(body, place, PLATE_MM)
        canvas.paint(shelled, Semantic.ENDPLATE, ENDPLATE_OFFSET + label)
        canvas.paint(_copy(body, place, 0.0), Semantic.VERTEBRAL_BODY, label)
    return MeasureContext(
        scan_id="phantom",
        participant_id=None,
        session_id=None,
        facts={},
        semantic=canvas.semantic,
        instance=canvas.instance,
        levels=[
            {
                "label": size.first_label + step,
                "level": name,
                "level_anchor": "sacrum",
                "level_confidence": 1.0,
                "index": step,
            }
            for step, name in enumerate(size.levels)
        ],
    )


def _copy(body: BodySolid, place: Placed, shell_mm: float) -> BodySolid:
    return BodySolid(**(vars(body) | {"at": place, "shell_mm": shell_mm}))


def true_vertebra(body: BodySolid, slice_mm: float) -> dict[str, float]:
    """True values of columns of the table `vertebrae`, from the formulas of the body."""
    offsets = max(0.15 * body.width, slice_mm / 2) * np.linspace(-1, 1, 7)
    depth = _chord(body, 1, np.array([[r, 0, s] for r in offsets for s in (-2, 0, 2)]))
    width = _chord(body, 0, np.array([[0, a, s] for a in (-3, 0, 3) for s in (-2, 0, 2)]))
    profile = [_height(body, offsets, depth, f) for f in np.linspace(*LINE_SPAN, 20)]
    heights = {
        name: np.median(np.concatenate([_heights(body, offsets, depth, f) for f in fractions]))
        for name, fractions in BANDS.items()
    }
    r, a, s = body.at.axes[2]
    hollows = {"superior": body.hollow_superior, "inferior": body.hollow_inferior}
    return {
        **{f"height_{name}_mm": float(height) for name, height in heights.items()},
        "height_mean_mm": float(np.mean(profile)),
        "height_min_mm": float(np.min(profile)),
        **{f"height_{side}_mm": _side(body, depth, sign) for side, sign in _SIDES.items()},
        "depth_mm": depth,
        "width_mm": width,
        "wedge_angle_deg": body.wedge_deg,
        "lateral_wedge_deg": body.lateral_deg,
        "wedge_ratio": float(heights["anterior"] / heights["posterior"]),
        "biconcavity_ratio": float(heights["middle"] / heights["posterior"]),
        "axis_sagittal_deg": float(np.rad2deg(np.arctan2(a, s))),
        "axis_coronal_deg": float(np.rad2deg(np.arctan2(r, s))),
        "posterior_wall_deg": 0.0,
        "body_volume_mm3": _volume(body),
        **{f"{side}_concavity_mm": _hollow(depth, body, h) for side, h in hollows.items()},
    }


_SIDES = {"left": -1, "right": 1}


def true_endplate(body: BodySolid, side: str) -> dict[str, float]:
    """True values of columns of the table `endplates`."""
    up = 1 if side == "superior" else -1
    tilt = np.tan(np.deg2rad(np.array([body.lateral_deg, body.wedge_deg]) / 2))
    local = np.array([tilt[0], tilt[1], up]) / np.sqrt(1 + tilt @ tilt)
    normal = local @ body.at.axes
    return {
        **{f"normal_{axis}_ratio": float(v) for axis, v in zip("ras", normal, strict=True)},
        "thickness_mm": PLATE_MM * abs(float(local[2])),
    }


def _chord(body: BodySolid, axis: int, starts: np.ndarray) -> float:
    """Median length of the body along r (0) or a (1) through `starts` (r, a, s)."""
    other = 1 - axis
    sizes = (body.width, body.depth)
    flare = body.flare(starts[:, 2])
    ring = 1 - np.abs(2 * starts[:, other] / sizes[other] / flare) ** body.exponent
    return float(np.median(sizes[axis] * flare * ring ** (1 / body.exponent)))


def _heights(body: BodySolid, offsets: np.ndarray, depth: float, fraction: float) -> np.ndarray:
    lower, upper = body.surfaces(offsets, np.full(len(offsets), depth * (fraction - 0.5)))
    return upper - lower


def _height(body: BodySolid, offsets: np.ndarray, depth: float, fraction: float) -> float:
    return float(np.median(_heights(body, offsets, depth, fraction)))


def _side(body: BodySolid, depth: float, sign: int) -> float:
    r = np.array([sign * 0.30 * body.width])
    return float(np.median([_heights(body, r, depth, f) for f in np.linspace(0.4, 0.6, 6)]))


def _hollow(depth: float, body: BodySolid, hollow: float) -> float:
    """Depth of the endplate's middle below the chord between its rims."""
    rim = depth * (RIMS[1] - 0.5)
    return hollow * (2 * rim / body.depth) ** 2


def _volume(body: BodySolid, step: float = 0.4) -> float:
    """Volume in mm3, summed over a fine grid of the body's own frame."""
    sizes = np.array([body.width, body.depth, body.height]) * 1.2 + 2
    axes = [np.arange(-size / 2, size / 2, step) for size in sizes]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return float(np.count_nonzero(body.holds(points))) * step**3
