"""CPU seconds of evaluating one whole-spine pair, beside panoptica's plain call on the same masks.

    python benchmarks/evaluate.py [--spacing 0.75 0.75 3.3] [--skip-panoptica]

The reference is the truth of a phantom, the prediction the same with every border moved by up to
a voxel. Reading, resampling and writing count for columna, and not for panoptica. panoptica gets
both masks as a user would give them: instances to be matched, structures as matched labels, and
of the metrics Dice, IoU, ASSD and the 95 % Hausdorff distance alone.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from columna.evaluate.outputs import write_evaluation
from columna.evaluate.pairs import Pair, evaluate_pair
from columna.images.volume import Volume, load_volume, save_volume
from columna.phantom import PhantomSettings, make_phantom


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.75, 0.75, 3.3))
    parser.add_argument("--skip-panoptica", action="store_true")
    options = parser.parse_args()
    phantom = make_phantom(PhantomSettings(region="whole", spacing_mm=tuple(options.spacing)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, mask in (("semantic", phantom.semantic), ("instance", phantom.instance)):
            save_volume(mask, folder / f"reference_{kind}.nii.gz")
            save_volume(_moved(mask), folder / f"prediction_{kind}.nii.gz")
        print(f"{' x '.join(map(str, phantom.semantic.shape))} voxels", flush=True)
        evaluated, seconds = _timed(lambda: _ours(folder))
        print(
            f"columna   {seconds:6.1f} CPU s, {len(evaluated.rows)} values, {_peak_mb():.0f} MB",
            flush=True,
        )
        if not options.skip_panoptica:
            _, seconds = _timed(lambda: _panoptica(folder))
            print(f"panoptica {seconds:6.1f} CPU s, {_peak_mb():.0f} MB")


def _moved(mask: Volume) -> Volume:
    """Half of the voxels, at random, as those one further are."""
    rng = np.random.default_rng(0)
    values = mask.array
    for axis in range(3):
        chosen = rng.random(values.shape, np.float32) < 0.5
        values = np.where(chosen, values, np.roll(values, 1, axis))
    return mask.with_array(values)


def _ours(folder: Path) -> Any:
    files = [
        folder / f"{side}_{kind}.nii.gz"
        for side in ("prediction", "reference")
        for kind in ("semantic", "instance")
    ]
    evaluated = evaluate_pair(Pair("whole", "whole", *files))
    write_evaluation([evaluated], folder / "out")
    return evaluated


def _panoptica(folder: Path) -> None:
    import panoptica

    metrics = [panoptica.Metric[name] for name in ("DSC", "IOU", "ASSD", "HD95")]
    for kind, given in (
        ("instance", panoptica.InputType.UNMATCHED_INSTANCE),
        ("semantic", panoptica.InputType.MATCHED_INSTANCE),
    ):
        found, true = (
            load_volume(folder / f"{side}_{kind}.nii.gz") for side in ("prediction", "reference")
        )
        is_matched = given == panoptica.InputType.MATCHED_INSTANCE
        evaluator = panoptica.Panoptica_Evaluator(
            expected_input=given,
            instance_matcher=None if is_matched else panoptica.NaiveThresholdMatching(),
            instance_metrics=metrics,
            global_metrics=[],
            log_times=False,
        )
        began = time.process_time()
        evaluator.evaluate(
            found.array, true.array, voxelspacing=tuple(true.spacing_mm), verbose=False
        )
        print(f"  panoptica, {kind}: {time.process_time() - began:.1f} CPU s", flush=True)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and the CPU seconds of this process and of those that it started."""
    began = _cpu_seconds()
    answer = work()
    return answer, _cpu_seconds() - began


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
