"""A model folder: its configuration, its grid, its files and their digest."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from columna.errors import ModelError
from columna.files import read_json, sha256_file
from columna.models.grid import ModelGrid, Triple
from columna.models.inference_config import (
    CONFIG_NAME,
    InferenceConfig,
    Role,
    read_inference_config,
)

CHECKPOINT_NAMES = ("checkpoint_final.pth", "checkpoint_best.pth")
"""nnU-Net checkpoints of a fold, best choice first."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder in the layout of SPINEPS (spineps-behaviour 2.2 to 2.4).

    Parameters
    ----------
    path
        The folder that holds ``inference_config.json``.
    config
        Its content.
    """

    path: Path
    config: InferenceConfig

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Read the one model in `path` or below it.

        Raises
        ------
        ModelError
            If there is no configuration, more than one, or an unusable one.
        """
        path = Path(path)
        if not path.is_dir():
            raise ModelError(f"{path}: no such model folder")
        found = sorted(path.rglob(CONFIG_NAME))
        if len(found) != 1:
            raise ModelError(f"{path}: needs exactly one {CONFIG_NAME}, found {len(found)}")
        return cls(found[0].parent, read_inference_config(found[0]))

    @property
    def name(self) -> str:
        """Name of the folder, for people; `digest` is what identifies the model."""
        return self.path.name

    @property
    def role(self) -> Role:
        """What the model is for: semantic, instance or labelling."""
        return self.config.role

    @cached_property
    def grid(self) -> ModelGrid:
        """Orientation and voxel size of the model's input."""
        return ModelGrid(
            self.config.model_expected_orientation,
            self.config.minimum_mm,
            self.config.maximum_mm,
            self._plan_spacing_mm() if self.role == "semantic" else None,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and contents of the files that inference uses.

        Neither the folder's place nor other files in it matter.
        """
        total = hashlib.sha256()
        for file in sorted(self.files, key=self._relative):
            total.update(f"{self._relative(file)}\0{sha256_file(file)}\n".encode())
        return total.hexdigest()

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that inference uses."""
        config = self.path / CONFIG_NAME
        if self.role == "semantic":
            plans, dataset = self.path / "plans.json", self.path / "dataset.json"
            return (config, plans, dataset, *self.fold_checkpoints)
        if self.role == "instance":
            return (config, self.instance_checkpoint)
        return tuple(file for file in self.path.rglob("*") if file.is_file())

    @cached_property
    def fold_checkpoints(self) -> tuple[Path, ...]:
        """One nnU-Net checkpoint per configured fold; of ``fold_all`` where folds are missing."""
        folds = [self._fold_checkpoint(fold) for fold in self.config.available_folds]
        if None in folds:
            folds = [self._fold_checkpoint("all")]
        if None in folds:
            wanted = ", ".join(f"fold_{fold}" for fold in self.config.available_folds)
            raise ModelError(
                f"{self.path}: no {' or '.join(CHECKPOINT_NAMES)} in {wanted}, nor in fold_all"
            )
        return tuple(folds)

    @cached_property
    def instance_checkpoint(self) -> Path:
        """The one Lightning checkpoint of an instance model."""
        found = sorted(self.path.rglob("*weights*.ckpt"))
        if len(found) != 1:
            raise ModelError(f"{self.path}: needs exactly one *weights*.ckpt, found {len(found)}")
        return found[0]

    def read_plans(self) -> dict[str, Any]:
        """Read nnU-Net's ``plans.json``."""
        return self._read_nnunet_json("plans.json")

    def read_dataset(self) -> dict[str, Any]:
        """Read nnU-Net's ``dataset.json``."""
        return self._read_nnunet_json("dataset.json")

    def plan_configuration(self) -> str:
        """Name of the plan's configuration that the checkpoints were trained with."""
        names = list(self.read_plans()["configurations"])
        if len(names) == 1:
            return names[0]
        # only checkpoints know; imported here, so that stages without networks need no torch
        from columna.models.checkpoint import load_checkpoint

        path = self.fold_checkpoints[0]
        try:
            return load_checkpoint(path)["init_args"]["configuration"]
        except KeyError as error:
            raise ModelError(f"{path}: the entry {error} is missing") from error

    def _fold_checkpoint(self, fold: str) -> Path | None:
        candidates = (self.path / f"fold_{fold}" / name for name in CHECKPOINT_NAMES)
        return next((file for file in candidates if file.is_file()), None)

    def _read_nnunet_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if name == "plans.json" and not path.exists() and (self.path / "plans.pkl").exists():
            raise ModelError(
                f"{self.path}: plans.pkl of nnU-Net v1 is a pickle, which may run code; "
                "only models with plans.json (nnU-Net v2) are loaded"
            )
        try:
            return read_json(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: not readable as JSON ({error})") from error

    def _plan_spacing_mm(self) -> Triple:
        """Take the plan's voxel size along the axes of the model's orientation.

        nnU-Net sees the axes in reverse order and permuted by ``transpose_forward``.
        """
        plans, name = self.read_plans(), self.plan_configuration()
        spacing = _plan_spacing(plans["configurations"], name)
        if spacing is None or len(spacing) != 3:
            raise ModelError(f"{self.path}: configuration {name} of plans.json is not 3-D")
        reversed_axes = [0.0] * 3
        for axis, size in zip(plans["transpose_forward"], spacing, strict=True):
            reversed_axes[axis] = float(size)
        return tuple(reversed_axes[::-1])

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()


def _plan_spacing(configurations: dict[str, Any], name: str) -> list[float] | None:
    """Spacing of a plan's configuration, or of the one it inherits from."""
    seen: set[str] = set()
    while name in configurations and name not in seen:
        seen.add(name)
        if "spacing" in configurations[name]:
            return configurations[name]["spacing"]
        name = configurations[name].get("inherits_from", "")
    return None
