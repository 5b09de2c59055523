"""CPU seconds of N4 settings, and how far each is from a slow reference, inside the body.

    python benchmarks/n4.py SCAN.nii.gz ...

The reference works on blocks of half the size and iterates to 1e-5. Differences are relative, after
removing one common factor (which normalisation removes anyway), over voxels of at least a tenth
of the 99th percentile.
"""

import sys
import time
from pathlib import Path

import numpy as np

from columna.config import PrepareSettings
from columna.prepare.bias import N4Settings, correct_bias, shrink_factors
from columna.prepare.normalise import normalise
from columna.prepare.read import read_scan
from columna.volume import bounding_box

REFERENCE = N4Settings(working_mm=4.0, convergence=1e-5)
CANDIDATES = {
    "default": N4Settings(),
    "6 mm": N4Settings(working_mm=6.0),
    "8 mm": N4Settings(working_mm=8.0),
    "10 mm": N4Settings(working_mm=10.0),
    "7 mm, 1e-4": N4Settings(convergence=1e-4),
    "7 mm, 2e-3": N4Settings(convergence=2e-3),
    "7 mm, three levels": N4Settings(iterations=(50, 50, 50)),
}


def measure(scan: Path) -> None:
    volume = read_scan(scan, PrepareSettings()).volume.reoriented()
    array = normalise(np.ascontiguousarray(volume.array))
    array = array[bounding_box(array)]
    body = array >= 0.1 * np.percentile(array, 99)

    def corrected(settings: N4Settings) -> tuple[float, np.ndarray]:
        start = time.process_time()
        result = correct_bias(array, volume.spacing_mm, settings)
        seconds = time.process_time() - start
        log = np.log(result[body])
        return seconds, log - np.median(log)

    seconds, reference = corrected(REFERENCE)
    before = np.log(array[body])
    before -= np.median(before)
    print(f"{scan.name}: {array.shape}, reference {seconds:.1f} s")
    print(f"{'':22}  {'blocks':>12}  {'CPU s':>6}  {'median':>7}  {'p95':>7}")
    report("uncorrected", "", 0.0, before - reference)
    for name, settings in CANDIDATES.items():
        seconds, log = corrected(settings)
        factors = shrink_factors(array.shape, volume.spacing_mm, settings)
        report(name, "x".join(map(str, factors)), seconds, log - reference)


def report(name: str, blocks: str, seconds: float, difference: np.ndarray) -> None:
    size = np.abs(np.expm1(difference))
    print(
        f"{name:22}  {blocks:>12}  {seconds:6.1f}  "
        f"{np.median(size):7.2%}  {np.percentile(size, 95):7.2%}",
        flush=True,
    )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        measure(Path(argument))
