"""How well measures of vertebral bodies are found on 3.3 mm slices: bias and SD per column.

    python benchmarks/measure_body.py [--bodies 60] [--spacing 3.3 0.857 0.857]

Bodies of known shape, size and direction (`columna.phantom.bodies`) are put on a voxel grid at
random offsets and measured as scans are; the error is measure minus truth. It is the error of
sampling alone: that of segmentation comes on top. Prints the table of docs/accuracy.md.
"""

import argparse
from collections import defaultdict

import numpy as np

from columna.config import MeasureSettings
from columna.measure import measure_scan
from columna.phantom.bodies import SIZES, Size, body_scan, random_body, true_endplate, true_vertebra
from columna.tables.endplates import ENDPLATES
from columna.tables.vertebrae import VERTEBRAE

SIDES = ("superior", "inferior")


def body_errors(
    size: Size, bodies: int, spacing_mm: tuple[float, ...], seed: int = 0
) -> dict[str, list[float]]:
    """Errors of every column of one region; volumes in per cent."""
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = defaultdict(list)
    for _ in range(bodies):
        body = random_body(rng, size)
        rows = measure_scan(body_scan(rng, body, size, spacing_mm), MeasureSettings())
        [row] = [r for r in rows["vertebrae"] if r["level"] == size.levels[1]]
        _compare(errors, row, true_vertebra(body, max(spacing_mm)))
        for side in SIDES:
            [plate] = [
                r for r in rows["endplates"] if (r["level"], r["side"]) == (size.levels[1], side)
            ]
            _compare(errors, plate, true_endplate(body, side))
    return errors


def _compare(errors: dict[str, list[float]], row: dict, truth: dict[str, float]) -> None:
    for name, true in truth.items():
        if row[name] is None:
            continue
        error = row[name] - true
        errors[name].append(100 * error / true if name.endswith("mm3") else error)


def main() -> None:
    """Print one line per column."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bodies", type=int, default=60)
    parser.add_argument("--spacing", type=float, nargs=3, default=(3.3, 0.857, 0.857))
    options = parser.parse_args()
    found = {
        region: body_errors(size, options.bodies, tuple(options.spacing))
        for region, size in SIZES.items()
    }
    print("| column | unit | " + " | ".join(f"{r}: bias, SD, p95" for r in SIZES) + " |")
    print("|---|---|" + "---|" * len(SIZES))
    for name in found["lumbar"]:
        cells = [_cell(found[region].get(name, [])) for region in SIZES]
        print(f"| `{name}` | {_unit(name)} | " + " | ".join(cells) + " |")


def _cell(errors: list[float]) -> str:
    if not errors:
        return "-"
    worst = np.percentile(np.abs(errors), 95)
    return f"{np.mean(errors):+.2f}, {np.std(errors):.2f}, {worst:.2f}"


def _unit(name: str) -> str:
    if name.endswith("mm3"):
        return "%"
    table = VERTEBRAE if name in VERTEBRAE.names else ENDPLATES
    return str(table[name].unit)


if __name__ == "__main__":
    main()
