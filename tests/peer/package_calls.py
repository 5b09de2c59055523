"""Call single functions of the released package on small masks.

    .venv-peer/bin/python tests/peer/package_calls.py FOLDER

Runs in the environment of the package. FOLDER holds `NAME.npz` with `call` (the function here to
call) and its arrays; masks run towards posterior, inferior and right. Answers are written to
`NAME.answer.npz`; what the package raises becomes `error`.
"""

import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from spineps import phase_instance, phase_post
from TPTBox import NII

PIR_AXES = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)


def mask(array: np.ndarray, spacing: np.ndarray) -> NII:
    affine = PIR_AXES @ np.diag([*spacing, 1.0])
    return NII(nib.Nifti1Image(array.astype(np.uint16), affine), seg=True)


def label(semantic, instance, spacing, orientation=("P", "I", "R")) -> dict[str, Any]:
    """Phase 3 on masks stored along `orientation`; the answers come back along P, I, R."""
    stored = [mask(array, spacing).reorient(tuple(orientation)) for array in (semantic, instance)]
    image = stored[0].copy()
    image.seg = False
    found = phase_post.phase_postprocess_combined(
        image, *stored, model_labeling=None, debug_data=None, labeling_offset=1
    )
    upright = [answer.reorient(("P", "I", "R")).get_seg_array() for answer in found]
    return dict(zip(("semantic", "instance"), upright, strict=True))


def derive(semantic, instance, spacing) -> dict[str, Any]:
    """Discs and endplates of named vertebrae."""
    found = phase_post.add_ivd_ep_vert_label(mask(instance, spacing), mask(semantic, spacing))
    return dict(zip(("instance", "semantic"), found, strict=True))


def centres(semantic, spacing, min_voxels) -> dict[str, Any]:
    """Centres of bodies."""
    return {"centres": phase_instance.get_corpus_coms(mask(semantic, spacing), int(min_voxels))}


def merge(parts, first_n, scores) -> dict[str, Any]:
    """Merge two couples: the first `first_n` predictions, each as large as the mask; the rest."""
    whole = tuple(slice(0, n) for n in parts.shape[1:])
    views = {
        (place, 0): phase_instance.SparsePrediction(whole, part > 0)
        for place, part in enumerate(parts)
    }
    keys = list(views)
    couples = dict(zip((tuple(keys[:first_n]), tuple(keys[first_n:])), scores, strict=True))
    empty = mask(np.zeros(parts.shape[1:]), np.ones(3))
    found, _, code = phase_instance.merge_coupled_predictions(empty, couples, views, {})
    return {"instance": found.get_seg_array(), "code": code.name}


def articular(semantic, instance, spacing) -> dict[str, Any]:
    """Articular processes settled on a vertebra each."""
    settled = mask(instance, spacing)
    phase_post.assign_vertebra_inconsistency(settled, mask(semantic, spacing))
    return {"instance": settled.get_seg_array()}


CALLS = {call.__name__: call for call in (label, derive, centres, merge, articular)}


def main(folder: Path) -> None:
    for file in sorted(folder.glob("*.npz")):
        given = dict(np.load(file))
        call = CALLS[str(given.pop("call"))]
        try:
            answer = call(**given)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        np.savez(file.with_suffix(".answer.npz"), **answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
