"""Sampling error of canal and cord: tubes of known size, tilted, at the slices of real scans.

    python benchmarks/measure_canal.py --n 30 [--spacing 3.3 0.857 0.857] [--tilt 25]

Prints bias and SD per column of the table cord_canal, site `level` (about one vertebra long).
"""

import argparse

import numpy as np

from columna.phantom.known.exact import Segment, stack
from phantom_errors import LABELS, Errors, measured, poses

REGIONS = {
    "cervical": (
        ("C3", "C4", "C5", "C6"),
        Segment(0, 13.5, 16, 19, gap=6, canal=(13, 20), cord=(7.8, 12.5)),
    ),
    "thoracic": (
        ("T7", "T8", "T9", "T10"),
        Segment(0, 20, 27, 29, gap=6, canal=(14, 17), cord=(6.5, 9)),
    ),
    "lumbar": (("L1", "L2", "L3", "L4"), Segment(0, 27, 34, 46, gap=10, canal=(16, 23))),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=30, help="spines per region (two levels each)")
    parser.add_argument("--spacing", type=float, nargs=3, default=(3.3, 0.857, 0.857))
    parser.add_argument("--tilt", type=float, default=25.0, help="largest sagittal tilt")
    options = parser.parse_args()
    errors = Errors()
    for number, (region, (names, usual)) in enumerate(REGIONS.items()):
        for pose, offset in poses(options.n, number, options.tilt):
            segments = [Segment(**(vars(usual) | {"label": LABELS[name]})) for name in names]
            rows = measured(stack(segments, pose), tuple(options.spacing), offset)["cord_canal"]
            for row in rows:
                if row["level"] in names[1:3] and row["site"] == "level":
                    _add(errors, region, row, usual)
    print(errors.table())


def _add(errors: Errors, region: str, row: dict, usual: Segment) -> None:
    tubes = {"canal": usual.canal, "cord": usual.cord}
    for tube, (ap, rl) in tubes.items():
        if ap:
            errors.add(region, f"{tube}_area_mm2", row[f"{tube}_area_mm2"], np.pi * ap * rl / 4)
            errors.add(region, f"{tube}_ap_mm", row[f"{tube}_ap_mm"], ap)
            errors.add(region, f"{tube}_rl_mm", row[f"{tube}_rl_mm"], rl)
            errors.add(region, f"{tube}_ap_min_mm", row[f"{tube}_ap_min_mm"], ap)
    if usual.cord[0]:
        fluid = np.pi / 4 * (np.prod(usual.canal) - np.prod(usual.cord))
        between = (usual.canal[0] - usual.cord[0]) / 2
        errors.add(region, "csf_area_mm2", row["csf_area_mm2"], float(fluid))
        errors.add(region, "anterior_csf_mm", row["anterior_csf_mm"], between)
        errors.add(region, "posterior_csf_mm", row["posterior_csf_mm"], between)
        errors.add(region, "mscc_pct", row["mscc_pct"], 0.0)
    errors.add(region, "mcc_pct", row["mcc_pct"], 0.0)


if __name__ == "__main__":
    main()
