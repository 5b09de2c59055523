"""CPU seconds of our N4, of ITK's and of the released package's, and how far apart they are.

    python benchmarks/n4.py SCAN.nii.gz [SEMANTIC_MASK.nii.gz]

All run at the settings of SPINEPS on one thread. SimpleITK fits the field to the same samples as
we do; antspyx, which SPINEPS calls, corrects the whole image. It is left out where it is not
installed; to have both, install columna and antspyx==0.6.3 in an environment of their own.
Differences are relative, over voxels (samples) of at least a tenth of the 99th percentile. With a
mask of the same grid, the spread inside each tissue is given too (standard deviation / mean): it
should fall.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 (the name that everyone uses)

from columna.anatomy import Semantic
from columna.config import PrepareSettings
from columna.images.volume import bounding_box, load_volume
from columna.prepare.bias import MASK_MINIMUM, correct_bias, place_axes
from columna.prepare.bspline import along_axes, basis
from columna.prepare.n4 import DEFAULT, N4Settings, fit_log_field
from columna.prepare.normalise import normalise
from columna.prepare.read import read_scan
from columna.prepare.stage import N4_ORIENTATION

TISSUES = (Semantic.VERTEBRAL_BODY, Semantic.DISC, Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)


def measure(scan: Path, mask: Path | None) -> None:
    volume = read_scan(scan, PrepareSettings()).volume.reoriented(N4_ORIENTATION)
    array = normalise(np.ascontiguousarray(volume.array))
    box = bounding_box(array)
    array = array[box].copy()
    tissues = load_volume(mask).reoriented(N4_ORIENTATION).array[box] if mask else None
    body = array >= 0.1 * np.percentile(array, 99)

    print(scan.name, array.shape)
    ours, seconds = timed(lambda: correct_bias(array, volume.spacing_mm))
    print(f"columna    {seconds:6.2f} CPU s", spreads(ours, tissues))
    print("           uncorrected:", difference(array[body], ours[body]), spreads(array, tissues))
    compare_with_itk(array, volume.spacing_mm)
    if find_spec("ants"):
        correct = ants_correct_bias()
        theirs, ants_seconds = timed(lambda: correct(array, volume.spacing_mm))
        print(
            f"antspyx    {ants_seconds:6.2f} CPU s, {ants_seconds / seconds:.0f} times ours;",
            end="",
        )
        print(" images:", difference(ours[body], theirs[body]), spreads(theirs, tissues))
    else:
        print("antspyx is not installed")


def compare_with_itk(array: np.ndarray, spacing_mm: np.ndarray) -> None:
    """Print how long SimpleITK takes on the same samples, and how far its field is from ours."""
    axes = place_axes(array.shape, spacing_mm, bounding_box(array >= MASK_MINIMUM))
    samples = array[tuple(axis.samples for axis in axes)]
    grid = [a.sample_positions for a in axes], [a.n_spans for a in axes]
    control, seconds = timed(lambda: fit_log_field(samples, *grid))
    theirs, itk_seconds = timed(lambda: itk_log_field(samples, *grid))
    body = samples >= 0.1 * np.percentile(array, 99)
    ours = field_at(control, *grid)
    print(
        f"SimpleITK  {itk_seconds:6.2f} CPU s, {itk_seconds / seconds:.0f} times our {seconds:.2f} "
        f"for the same fit; fields at {samples.size} samples:",
        difference(np.exp(ours[body]), np.exp(theirs[body])),
    )


def field_at(
    control: np.ndarray, positions: Sequence[np.ndarray], n_spans: Sequence[int]
) -> np.ndarray:
    """Field at `positions` (in spans of the first level) from control points of the last level."""
    refined = [(n - 3) // spans for n, spans in zip(control.shape, n_spans, strict=True)]
    return along_axes(
        control,
        [basis(p * k, n * k) for p, n, k in zip(positions, n_spans, refined, strict=True)],
    )


def itk_log_field(
    samples: np.ndarray,
    positions: Sequence[np.ndarray],
    n_spans: Sequence[int],
    settings: N4Settings = DEFAULT,
) -> np.ndarray:
    """What ITK's N4 makes of the arguments of `fit_log_field`: the field at the samples."""
    steps = [p[1] - p[0] for p in positions]
    starts = [round(p[0] / step) for p, step in zip(positions, steps, strict=True)]
    inside = tuple(slice(i, i + len(p)) for i, p in zip(starts, positions, strict=True))
    image = np.zeros([round(n / d) + 1 for n, d in zip(n_spans, steps, strict=True)], np.float32)
    mask = np.zeros(image.shape, np.uint8)
    image[inside], mask[inside] = samples, 1

    # the filters inside N4 take the global number of threads whatever N4 itself is told
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(settings.iterations)
    n4.SetConvergenceThreshold(settings.convergence)
    n4.SetNumberOfControlPoints([n + 3 for n in n_spans][::-1])  # from the last axis
    itk_image = sitk.GetImageFromArray(image)
    n4.Execute(itk_image, sitk.GetImageFromArray(mask))
    return sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(itk_image))[inside]


def ants_correct_bias() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Load antspyx, and make of it what `correct_bias` is: the call of SPINEPS."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    import ants  # ITK reads the variable when it is loaded

    def correct(array: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
        mask = np.zeros_like(array)
        mask[bounding_box(array >= MASK_MINIMUM)] = 1
        image, mask = (ants.from_numpy(a, spacing=spacing_mm.tolist()) for a in (array, mask))
        return ants.n4_bias_field_correction(
            image,
            mask=mask,
            shrink_factor=DEFAULT.step,
            convergence={"iters": list(DEFAULT.iterations), "tol": DEFAULT.convergence},
            spline_param=DEFAULT.knot_spacing_mm,
        ).numpy()

    return correct


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    size = np.abs(ours / theirs - 1)
    return f"differ by {np.median(size):.3%} (median), {np.percentile(size, 95):.3%} (p95)"


def spreads(array: np.ndarray, tissues: np.ndarray | None) -> str:
    if tissues is None:
        return ""
    values = {tissue.name: array[tissues == tissue] for tissue in TISSUES}
    parts = (f"{name} {v.std() / v.mean():.3f}" for name, v in values.items() if v.size)
    return "; spread in " + ", ".join(parts)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
