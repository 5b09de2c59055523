"""nnU-Net's own training: what it needs told, and what becomes of its result.

Planning, preprocessing and training are nnU-Net's commands (``workflow/rules/train.smk``).
"""

import shutil
from pathlib import Path

from columna.errors import ModelError
from columna.files import atomic_path, read_json, write_json
from columna.models.checkpoint import load_checkpoint
from columna.models.folder import CHECKPOINT_NAMES
from columna.train.dataset import read_cases, splits
from columna.train.export import semantic_config

FILES = ("plans.json", "dataset.json")


def write_splits(dataset: Path, preprocessed: Path, folds: int) -> None:
    """Write nnU-Net's ``splits_final.json``: the folds of participants, the same as columna's."""
    write_json(preprocessed / "splits_final.json", splits(read_cases(dataset), folds))


def export_trained(trained: Path, folder: Path) -> None:
    """Make a model folder that SPINEPS and columna load.

    Parameters
    ----------
    trained
        ``nnUNet_results/<dataset>/<trainer>__<plans>__<configuration>``, with at least one
        trained fold.
    folder
        Model folder to write.

    Raises
    ------
    ModelError
        If no fold is trained.
    """
    found = {
        path.name: checkpoint
        for path in sorted(trained.glob("fold_*"))
        if (checkpoint := _checkpoint(path))
    }
    if not found:
        raise ModelError(f"{trained}: no trained fold; run nnUNetv2_train first")
    for name in FILES:
        _copy(trained / name, folder / name)
    for fold, checkpoint in found.items():
        _copy(checkpoint, folder / fold / CHECKPOINT_NAMES[0])
    plans = read_json(trained / "plans.json")
    first = load_checkpoint(next(iter(found.values())))
    spacing = _spacing_mm(plans, first["init_args"]["configuration"])
    config = semantic_config(f"nnU-Net-{trained.parent.name}", spacing)
    names = [fold.removeprefix("fold_") for fold in found]
    write_json(folder / "inference_config.json", config | {"available_folds": names})


def _checkpoint(fold: Path) -> Path | None:
    return next((fold / name for name in CHECKPOINT_NAMES if (fold / name).exists()), None)


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _spacing_mm(plans: dict, configuration: str) -> tuple[float, float, float]:
    """Voxel size along P, I, R: nnU-Net sees the axes reversed and permuted."""
    spacing = plans["configurations"][configuration]["spacing"]
    axes = [0.0] * 3
    for axis, size in zip(plans["transpose_forward"], spacing, strict=True):
        axes[axis] = float(size)
    return tuple(axes[::-1])
