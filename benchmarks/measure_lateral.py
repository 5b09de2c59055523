"""Error of what is measured of bodies that the slices do not reach the sides of.

    python benchmarks/measure_lateral.py --n 150 [--spacing 3.3 0.857 0.857] [--least 0.35]

Random bodies (`columna.phantom.known.bodies`) are cut at random places, half of them at one side
and half at both, the canal with them. Errors are root mean squares by the share of the width that
is seen as far to the left of the middle as to the right: a cut at one side that leaves 65 % of a
body leaves 30 % around its middle. The first line of each region is that of whole bodies. `--least`
sets how wide that part must be, in depths of the body; 0 measures all of them.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import columna.measure.anatomy.frame
from columna.config import MeasureSettings
from columna.measure import MeasureContext, measure_scan
from columna.measure.anatomy.lateral import LEAST_DEPTHS
from columna.phantom.known.analytic import BodySolid
from columna.phantom.known.bodies import SIZES, BodySize, body_scan, random_body, true_vertebra

COLUMNS = (
    "height_anterior_mm",
    "height_middle_mm",
    "height_posterior_mm",
    "height_mean_mm",
    "depth_mm",
    "wedge_angle_deg",
    "axis_sagittal_deg",
    "superior_concavity_mm",
)
SHARES = (0.0, 0.2, 0.3, 0.4, 0.6, 0.8, 1.01)
WHOLE = "whole"


@dataclass(frozen=True)
class Outcome:
    """One body: the share of its width around the middle, and the errors (None: not measured)."""

    share: float | None
    errors: tuple[float | None, ...]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=150, help="bodies per region")
    parser.add_argument("--spacing", type=float, nargs=3, default=(3.3, 0.857, 0.857))
    parser.add_argument("--least", type=float, default=LEAST_DEPTHS)
    options = parser.parse_args()
    columna.measure.anatomy.frame.LEAST_DEPTHS = options.least
    print("| region | share seen | n | NULL | " + " | ".join(f"`{c}`" for c in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for region, size in SIZES.items():
        found = list(_outcomes(size, options.n, tuple(options.spacing)))
        print(_line(region, WHOLE, [one for one in found if one.share is None]))
        for low, high in pairwise(SHARES):
            chosen = [o for o in found if o.share is not None and low <= o.share < high]
            if chosen:
                print(_line(region, f"{low:.1f} to {min(high, 1):.1f}", chosen), flush=True)


def _outcomes(size: BodySize, n: int, spacing_mm: tuple[float, ...]) -> Iterator[Outcome]:
    """Cut and measure `n` bodies; every fifth stays whole."""
    rng = np.random.default_rng(0)
    for number in range(n):
        body = random_body(rng, size)
        context = body_scan(rng, body, size, spacing_mm)
        reach = body.width / 2 * rng.uniform(0.1, 1.0, 2)
        if number % 2:
            reach[0] = body.width  # not cut there
        cut = context if number % 5 == 0 else _cut(context, body, reach)
        [row] = [
            r for r in measure_scan(cut, MeasureSettings())["vertebrae"]
            if r["level"] == size.levels[1]
        ]  # fmt: skip
        truth = true_vertebra(body, max(spacing_mm))
        errors = (None if row[c] is None else row[c] - truth[c] for c in COLUMNS)
        share = None if row["presence"] == "complete" else _share(cut, body)
        yield Outcome(share, tuple(errors))


def _cut(context: MeasureContext, body: BodySolid, reach: np.ndarray) -> MeasureContext:
    """Leave the slices whose middle is nearer to the body's than `reach`, to the left and right."""
    at = _slices(context) - body.at.centre[0]
    seen = np.flatnonzero((at >= -reach[0]) & (at <= reach[1]))
    seen = seen if len(seen) else np.array([np.abs(at).argmin()])
    box = (slice(int(seen[0]), int(seen[-1]) + 1), *map(slice, (0, 0), context.semantic.shape[1:]))
    return replace(
        context, semantic=context.semantic.cropped(box), instance=context.instance.cropped(box)
    )


def _share(context: MeasureContext, body: BodySolid) -> float:
    """Share of the width that is seen as far to the left of the body's middle as to the right."""
    at = _slices(context) - body.at.centre[0]
    half = abs(context.semantic.affine[0, 0]) / 2
    reach = min(-(at.min() - half), at.max() + half)
    return float(np.clip(2 * reach / body.width, 0.0, 1.0))


def _slices(context: MeasureContext) -> np.ndarray:
    """Places of the slices along the scanner's right, mm."""
    affine, n = context.semantic.affine, context.semantic.shape[0]
    return affine[0, 0] * np.arange(n) + affine[0, 3]


def _line(region: str, name: str, outcomes: list[Outcome]) -> str:
    missing = sum(one.errors[0] is None for one in outcomes)
    cells = []
    for column in zip(*(one.errors for one in outcomes), strict=True):
        errors = np.array([error for error in column if error is not None])
        cells.append(f"{np.sqrt(np.mean(errors**2)):.2f}" if len(errors) else "")
    return f"| {region} | {name} | {len(outcomes)} | {missing} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
