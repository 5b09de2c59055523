"""Sampling error of vertebral bodies and endplates: shapes given by formulas, on real grids.

    python benchmarks/measure_body.py --n 60 [--spacing 3.3 0.857 0.857]

Prints bias and SD (SD in % of the size) of columns of the tables vertebrae and endplates, one line
per column; NULL counts bodies without a value. The shapes are those of
`columna.phantom.known.bodies`.
"""

import argparse

import numpy as np

from columna.config import MeasureSettings
from columna.measure import measure_scan
from columna.phantom.known.bodies import SIZES, body_scan, random_body, true_endplate, true_vertebra
from phantom_errors import Errors

SIDES = ("superior", "inferior")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=60, help="bodies per region")
    parser.add_argument("--spacing", type=float, nargs=3, default=(3.3, 0.857, 0.857))
    options = parser.parse_args()
    errors = Errors()
    for region in SIZES:
        rng = np.random.default_rng(0)
        for _ in range(options.n):
            _add(errors, region, rng, tuple(options.spacing))
    print("\n".join(table(errors)))


def table(errors: Errors) -> list[str]:
    """Markdown, one line per column and one cell per region."""
    lines = ["| column | " + " | ".join(SIZES) + " |", "|---|" + "---|" * len(SIZES)]
    columns = dict.fromkeys(column for _, column in errors.found)
    for column in columns:
        cells = [_cell(errors, (region, column)) for region in SIZES]
        lines.append(f"| `{column}` | " + " | ".join(cells) + " |")
    return lines


def _cell(errors: Errors, key: tuple[str, str]) -> str:
    if key not in errors.found:
        return "NULL"
    found, size = np.array(errors.found[key]), float(np.mean(np.abs(errors.truth[key])))
    digits = 4 if key[1].startswith("normal") else 0 if key[1].endswith("mm3") else 2
    text = f"{found.mean():+.{digits}f}, {found.std(ddof=1):.{digits}f}"
    if key[1].endswith(("_mm", "_mm3")):
        text += f" ({100 * found.std(ddof=1) / size:.1f} %)"
    missing = errors.missing[key]
    return text + f", NULL {missing}" if missing else text


def _add(
    errors: Errors, region: str, rng: np.random.Generator, spacing_mm: tuple[float, ...]
) -> None:
    """Measure one random body."""
    size = SIZES[region]
    body = random_body(rng, size)
    rows = measure_scan(body_scan(rng, body, size, spacing_mm), MeasureSettings())
    level = size.levels[1]
    [row] = [r for r in rows["vertebrae"] if r["level"] == level]
    for name, truth in true_vertebra(body, max(spacing_mm)).items():
        errors.add(region, name, row[name], truth)
    for side in SIDES:
        [plate] = [r for r in rows["endplates"] if (r["level"], r["side"]) == (level, side)]
        for name, truth in true_endplate(body, side).items():
            errors.add(region, name, plate[name], truth)


if __name__ == "__main__":
    main()
