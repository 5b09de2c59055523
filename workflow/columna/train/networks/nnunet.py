"""nnU-Net's own training: what it needs told, and what becomes of its result.

Planning, preprocessing and training are nnU-Net's commands (``workflow/rules/train.smk``).
"""

import shutil
from pathlib import Path

from columna.errors import ModelError
from columna.files import atomic_path, write_json
from columna.models.checkpoint import load_checkpoint, trained_configuration
from columna.models.folder import CHECKPOINT_NAMES
from columna.models.plans import count_classes, read_plan
from columna.train.labels import CLASSES, Classes
from columna.train.networks.model_folders import semantic_config
from columna.train.samples.dataset import read_cases, splits

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
    first = next(iter(found.values()))
    name = trained_configuration(load_checkpoint(first), first)
    spacing = read_plan(trained / "plans.json", name).spacing_mm
    config = semantic_config(f"nnU-Net-{trained.parent.name}", spacing, _classes(folder))
    folds = [fold.removeprefix("fold_") for fold in found]
    write_json(folder / "inference_config.json", config | {"available_folds": folds})


def _classes(folder: Path) -> Classes:
    """What the network tells apart, by its number of classes."""
    count = count_classes(folder / "dataset.json")
    for classes in CLASSES.values():
        if classes.count == count:
            return classes
    raise ModelError(f"{folder}: has {count} classes, which no recipe asks for")


def _checkpoint(fold: Path) -> Path | None:
    return next((fold / name for name in CHECKPOINT_NAMES if (fold / name).exists()), None)


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
