"""Run the released SPINEPS package on one scan, unmodified, and note what each phase costs.

    .venv-peer/bin/python benchmarks/peer/package.py JOB.json

Runs in the environment of the package and imports nothing of columna. The job names `scan`,
`semantic_model`, `instance_model`, `threads` and `out`; with `answer`, a mask in the grid of the
semantic model stands in for the answer of the semantic network; with `n4` false the package leaves
N4 out; with `keep`, what leaves N4, the preparation and the network is saved instead of timed.
`out` gets the masks, the points, and `result.json`: code or error, seconds and memory of phases.
"""

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from stopwatch import Stopwatch

KEPT = {
    "out_spine": "spine.nii.gz",
    "out_vert": "vert.nii.gz",
    "out_spine_raw": "spine-raw.nii.gz",
    "out_vert_raw": "vert-raw.nii.gz",
    "out_ctd": "points.json",
}


def main(job: dict[str, Any]) -> None:
    watch = Stopwatch()
    out = Path(job["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(job["threads"])
    os.environ["SPINEPS_NO_CITATION_REMINDER"] = "TRUE"
    import torch

    torch.set_num_threads(job["threads"])
    from spineps.get_models import get_actual_model
    from spineps.seg_run import segment_image
    from TPTBox import BIDS_FILE

    semantic = get_actual_model(job["semantic_model"], use_cpu=True).load()
    instance = get_actual_model(job["instance_model"], use_cpu=True).load()
    torch.set_num_threads(job["threads"])  # loading sets it to all cores
    if "answer" in job:
        answer_with(semantic, job["answer"])
    if job.get("keep"):
        keep_intermediates(semantic, out)
    else:
        time_phases(watch, semantic, instance)
    before = watch.report()
    watch.phases.clear()
    scan = stage_in(Path(job["scan"]), out / "bids")
    reference = BIDS_FILE(scan, dataset=out / "bids", verbose=False)
    result: dict[str, Any] = {"error": None, "start": before}
    try:
        paths, code = segment_image(
            reference,
            semantic,
            instance,
            None,
            proc_sem_n4_bias_correction=job.get("n4", True),
        )
        result["code"] = code.name
        for key, name in KEPT.items():
            if Path(paths[key]).exists():
                shutil.copy(paths[key], out / name)
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    shutil.rmtree(out / "bids")
    (out / "result.json").write_text(json.dumps(result | watch.report(), indent=1))


def stage_in(scan: Path, dataset: Path) -> Path:
    """Copy the scan into a BIDS folder, since the package writes beside it."""
    subject = scan.name.split("_")[0]
    target = dataset / "rawdata" / subject / scan.name
    target.parent.mkdir(parents=True)
    shutil.copy(scan, target)
    return target


def answer_with(model: Any, mask: str) -> None:
    """Let the semantic network answer with a stored mask."""
    from spineps.seg_enums import OutputType
    from TPTBox import NII

    def segment_scan(*_: Any, **__: Any) -> dict[Any, Any]:
        return {OutputType.seg: NII.load(mask, seg=True), OutputType.softmax_logits: None}

    model.segment_scan = segment_scan


def time_phases(watch: Stopwatch, semantic: Any, instance: Any) -> None:
    from spineps import phase_instance, phase_pre, seg_run
    from TPTBox import NII, POI

    for owner, name, phase in (
        (seg_run, "preprocess_input", "prepare"),
        (phase_pre, "n4_bias", "N4"),
        (seg_run, "predict_semantic_mask", "semantic cleaning"),
        (semantic, "segment_scan", "semantic network"),
        (seg_run, "predict_instance_mask", "instance merge"),
        (phase_instance, "get_corpus_coms", "body centres"),
        (instance, "segment_scan_batch", "instance network"),
        (NII, "resample_from_to", "final masks"),
        (seg_run, "phase_postprocess_combined", "final masks"),
        (seg_run, "predict_centroids_from_both", "points"),
        (seg_run, "mri_snapshot", "snapshot"),
        (NII, "save", "saving"),
        (POI, "save", "saving"),
    ):
        watch.wrap(owner, name, phase)


def keep_intermediates(semantic: Any, out: Path) -> None:
    """Save what leaves N4, the preparation and the semantic network."""
    from spineps import phase_pre, seg_run
    from spineps.seg_enums import OutputType

    def keeping(owner: Any, name: str, file: str, pick: Any) -> None:
        function = getattr(owner, name)

        def kept(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            pick(result).copy().save(out / file, verbose=False)
            return result

        setattr(owner, name, kept)

    keeping(phase_pre, "n4_bias", "corrected.nii.gz", lambda result: result[0])
    keeping(seg_run, "preprocess_input", "prepared.nii.gz", lambda result: result[0])
    keeping(semantic, "segment_scan", "answer.nii.gz", lambda result: result[OutputType.seg])
    run = semantic.run

    def run_kept(input_nii: list[Any], **kwargs: Any) -> Any:
        input_nii[0].copy().save(out / "network-input.nii.gz", verbose=False)
        return run(input_nii=input_nii, **kwargs)

    semantic.run = run_kept


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
