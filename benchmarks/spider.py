"""How well a pair of models segments real patients of SPIDER (T2 SPACE, masks of three structures).

    python benchmarks/spider.py FOLDER CASE... --semantic bundled_semantic

FOLDER holds ``<case>_T2w.nii.gz`` and ``<case>_mask.nii.gz``: 76 whole vertebrae, 29 discs,
150 spinal canal with cord. The last line is the mean over the cases.
"""

import argparse
from pathlib import Path

import cc3d
import numpy as np
import torch

from columna.anatomy import BODY, CANAL, ENDPLATES, POSTERIOR_ELEMENTS, Semantic
from columna.config import PrepareSettings
from columna.evaluate.in_memory import segment
from columna.evaluate.overlap import dice
from columna.images.volume import load_volume
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model

VERTEBRA, DISC, SAC = 76, 29, 150
BONE = (*BODY, Semantic.DENS, *POSTERIOR_ELEMENTS)
SMALLEST_DISC_MM3 = 300.0


def main():
    options = _options()
    torch.set_num_threads(options.threads)
    semantic = load_semantic_model(find_model(options.semantic), "cpu")
    instance = load_instance_model(find_model(options.instance), "cpu")
    rows = []
    for case in options.cases:
        true = load_volume(options.folder / f"{case}_mask.nii.gz").reoriented()
        answer = segment(
            options.folder / f"{case}_T2w.nii.gz", semantic, instance, PrepareSettings()
        )
        row = scores(answer.semantic.array, true.array, true.voxel_volume_mm3)
        row["seconds"] = answer.seconds
        rows.append(row)
        names = ", ".join(name or "?" for name in answer.names)
        print(case, _line(row), names, flush=True)
    mean = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
    print("mean", _line(mean))


def scores(found, true, voxel_mm3):
    """Dice of what SPIDER draws, and how many discs share more than half with one of ours."""
    disc = found == Semantic.DISC
    behind = _behind_canal(true)
    bone = np.isin(found, BONE)
    return {
        "vertebra": dice(bone, true == VERTEBRA),
        "with endplates": dice(bone | np.isin(found, ENDPLATES), true == VERTEBRA),
        "disc": dice(disc, true == DISC),
        "canal": dice(np.isin(found, CANAL), true == SAC),
        "behind": dice(bone & behind, (true == VERTEBRA) & behind),
        **_discs_found(disc, true == DISC, voxel_mm3),
    }


def _behind_canal(true):
    """Voxels behind the middle of the canal, row by row, where there is a canal."""
    sac = true == SAC
    counts = sac.sum(axis=(0, 2))
    place = np.arange(true.shape[0])
    with np.errstate(invalid="ignore"):
        middle = (sac.sum(axis=2) * place[:, None]).sum(axis=0) / counts
    return np.broadcast_to((place[:, None] > middle)[:, :, None], true.shape)


def _discs_found(found, true, voxel_mm3):
    components, count = cc3d.connected_components(true, connectivity=6, return_N=True)
    ours = cc3d.connected_components(found, connectivity=6)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    own = np.bincount(ours.ravel())
    whole = [n for n in range(1, count + 1) if sizes[n] * voxel_mm3 > SMALLEST_DISC_MM3]
    hits = 0
    for number in whole:
        overlap = np.bincount(ours[components == number], minlength=len(own))
        overlap[0] = 0
        best = int(overlap.argmax())
        hits += overlap[best] > (sizes[number] + own[best] - overlap[best]) / 2
    return {"discs found": hits, "discs": len(whole)}


def _line(row):
    return "  ".join(f"{key} {value:.3f}" for key, value in row.items())


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--semantic", default="bundled_semantic")
    parser.add_argument("--instance", default="bundled_instance")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
