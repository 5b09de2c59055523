"""CPU seconds of N4 settings, how far each is from SPINEPS' settings, and what it does to tissues.

    python benchmarks/n4.py SCAN.nii.gz [SEMANTIC_MASK.nii.gz]

The reference is what SPINEPS asks for: every fourth voxel, four levels of 50 iterations.
Differences are relative, over voxels of at least a tenth of the 99th percentile, after removing one
common factor (which normalisation removes anyway). With a mask of the same grid, the spread inside
each tissue is given too (standard deviation / mean): it should fall.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from columna.anatomy import Semantic
from columna.config import PrepareSettings
from columna.prepare.bias import N4Settings, correct_bias
from columna.prepare.normalise import normalise
from columna.prepare.read import read_scan
from columna.volume import bounding_box, load_volume

REFERENCE = N4Settings(iterations=(50,) * 4, convergence=1e-7)
CANDIDATES = {
    "default": N4Settings(),
    "5 iterations": N4Settings(iterations=(5,) * 4),
    "16 iterations": N4Settings(iterations=(16,) * 4),
    "to 1e-3": N4Settings(iterations=(50,) * 4, convergence=1e-3),
    "three levels": N4Settings(iterations=(10,) * 3),
    "every 8th voxel": N4Settings(step=8),
}
TISSUES = (Semantic.VERTEBRAL_BODY, Semantic.DISC, Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)


def measure(scan: Path, mask: Path | None) -> None:
    volume = read_scan(scan, PrepareSettings()).volume.reoriented()
    array = normalise(np.ascontiguousarray(volume.array))
    box = bounding_box(array)
    array = array[box]
    tissues = load_volume(mask).reoriented().array[box] if mask else None
    body = array >= 0.1 * np.percentile(array, 99)

    def report(name: str, correct: Callable[[], np.ndarray], against: np.ndarray | None):
        start = time.process_time()
        result = correct()
        seconds = time.process_time() - start
        log = np.log(result[body])
        log -= np.median(log)
        size = np.zeros(1) if against is None else np.abs(np.expm1(log - against))
        print(
            f"{name:18} {seconds:6.1f}  {np.median(size):7.2%} {np.percentile(size, 95):7.2%}",
            *spreads(result, tissues),
            flush=True,
        )
        return log

    print(scan.name, array.shape)
    print(f"{'':18} {'CPU s':>6}  {'median':>7} {'p95':>7}  spread in", *(t.name for t in TISSUES))
    goal = report("reference", lambda: correct_bias(array, volume.spacing_mm, REFERENCE), None)
    report("uncorrected", lambda: array, goal)
    for name, settings in CANDIDATES.items():
        report(name, lambda s=settings: correct_bias(array, volume.spacing_mm, s), goal)


def spreads(array: np.ndarray, tissues: np.ndarray | None) -> list[str]:
    if tissues is None:
        return []
    values = (array[tissues == tissue] for tissue in TISSUES)
    return [f"{v.std() / v.mean():6.3f}" for v in values if v.size]


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
