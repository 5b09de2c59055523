"""Run columna on one scan and note what each phase costs: the counterpart of `package.py`.

    python benchmarks/peer/ours.py JOB.json

Jobs and output are those of `package.py`; in addition, `corrected` stands in for the result of N4.
Phases are the library's own functions, called one after the other as the stages do.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from stopwatch import Stopwatch


def main(job: dict[str, Any]) -> None:
    watch = Stopwatch()
    out = Path(job["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as columna's command line does
    import torch

    from columna.models.instance_network import load_instance_model
    from columna.models.semantic_network import load_semantic_model

    torch.set_num_threads(job["threads"])
    compute = job.get("compute", "float32")
    instance = load_instance_model(Path(job["instance_model"]), "cpu", compute)
    semantic = load_semantic_model(Path(job["semantic_model"]), "cpu", compute)
    if "corrected" in job:
        correct_with(Path(job["corrected"]))
    time_phases(watch)
    before = watch.report()
    watch.phases.clear()
    segment(job, out, semantic, instance)
    result = {"error": None, "code": "OK", "start": before} | watch.report()
    (out / "result.json").write_text(json.dumps(result, indent=1))


def segment(job: dict[str, Any], out: Path, semantic: Any, instance: Any) -> None:
    from columna import files, prepare
    from columna.config import InstanceSettings, LabelSettings, PrepareSettings, SemanticSettings
    from columna.images import volume
    from columna.instance import phase_2 as phase_2
    from columna.label import final_masks, points
    from columna.prepare import stage
    from columna.semantic import phase_1 as phase_1
    from columna.semantic import postprocess

    settings = PrepareSettings(n4=job.get("n4", True), n4_axes=job.get("n4_axes", "anatomical"))
    scan = prepare.read_scan(Path(job["scan"]), settings)
    if "answer" in job:
        answer = volume.load_volume(Path(job["answer"]))
        spine_raw = postprocess.clean_semantic(answer.reoriented())
    else:
        prepared = stage.prepare_scan(scan, semantic.grid, settings)
        spine_raw = phase_1.segment_semantic(
            prepared, semantic, SemanticSettings(max_gap_mm=None)
        ).mask
    vert_raw = phase_2.segment_instances(spine_raw, instance, InstanceSettings())
    final = final_masks.label_masks(
        scan.volume, spine_raw, vert_raw, LabelSettings(naming="top_down", borders="nearest")
    )
    delivered = {
        "spine-raw": spine_raw,
        "vert-raw": vert_raw,
        "spine": final.semantic,
        "vert": final.instance,
    }
    for name, mask in delivered.items():
        volume.save_volume(mask, out / f"{name}.nii.gz")
    files.write_json(out / "points.json", points.poi_json(final))


def time_phases(watch: Stopwatch) -> None:
    from columna import files
    from columna.images import volume
    from columna.instance import phase_2 as phase_2
    from columna.instance import windows
    from columna.label import final_masks, points
    from columna.prepare import stage
    from columna.semantic import phase_1 as phase_1
    from columna.semantic import postprocess

    for owner, name, phase in (
        (stage, "prepare_scan", "prepare"),
        (stage, "correct_bias", "N4"),
        (phase_1, "segment_semantic", "semantic cleaning"),
        (phase_1, "make_network_input", "semantic network"),
        (phase_1, "ask_network", "semantic network"),
        (phase_1, "decide", "semantic network"),
        (postprocess, "clean_semantic", "semantic cleaning"),
        (phase_2, "segment_instances", "instance merge"),
        (phase_2, "find_centres", "body centres"),
        (windows, "classify", "instance network"),
        (final_masks, "label_masks", "final masks"),
        (points, "poi_json", "points"),
        (volume, "save_volume", "saving"),
        (files, "write_json", "saving"),
    ):
        watch.wrap(owner, name, phase)


def correct_with(path: Path) -> None:
    """Let N4 answer with a stored image, cropped to the content of the scan as N4's input is.

    Resampling rounds to whole numbers then, as it does for images of integers in the package.
    """
    from columna.images.volume import Volume, load_image, resample_image
    from columna.prepare import stage

    def resample_rounded(volume: Volume, spacing_mm: Any) -> Volume:
        image = resample_image(volume, spacing_mm)
        return image.with_array(np.rint(image.array))

    corrected = load_image(path).reoriented(stage.N4_ORIENTATION)

    def correct_bias(array: np.ndarray, *_: Any) -> np.ndarray:
        if array.shape != corrected.shape:
            raise ValueError(f"stored image {corrected.shape}, N4 sees {array.shape}")
        return np.ascontiguousarray(corrected.array)

    stage.correct_bias = correct_bias
    stage.resample_image = resample_rounded


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
