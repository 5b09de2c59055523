"""A model folder: its configuration, its grid, its files and their digest."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from columna.errors import ModelError
from columna.files import sha256_file
from columna.models.content import shown_error
from columna.models.grid import ModelGrid
from columna.models.inference_config import (
    CONFIG_NAME,
    InferenceConfig,
    Role,
    read_inference_config,
)
from columna.models.plans import Plan, configuration_names, count_classes, read_plan

RECEIPT_NAME = "columna_receipt.json"
"""What a fetched folder was fetched from, and its digest at that time; no part of the model."""
CHECKPOINT_NAMES = ("checkpoint_final.pth", "checkpoint_best.pth")
"""nnU-Net checkpoints of a fold, best choice first."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder in the layout of SPINEPS (docs/method.md#model-folders).

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
            self.read_plan().spacing_mm if self.role == "semantic" else None,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and contents of the files that inference uses.

        Neither the folder's place nor other files in it matter.
        """
        total = hashlib.sha256()
        try:
            for file in sorted(self.files, key=self._relative):
                total.update(f"{self._relative(file)}\0{sha256_file(file)}\n".encode())
        except OSError as error:
            raise ModelError(f"{self.path}: not readable ({shown_error(error)})") from error
        return total.hexdigest()

    def check_unchanged(self) -> None:
        """Compare the files with `digest` as it was when it was first asked for.

        Raises
        ------
        ModelError
            If they have changed since: what was loaded may be something else than what the digest
            stands for.
        """
        now = ModelFolder(self.path, self.config).digest
        if now != self.digest:
            raise ModelError(
                f"{self.path}: has changed while it was used (digest {self.digest}, now {now}); "
                "run again"
            )

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that inference uses."""
        config = self.path / CONFIG_NAME
        if self.role == "semantic":
            plans, dataset = self.path / "plans.json", self.path / "dataset.json"
            return (config, plans, dataset, *self.fold_checkpoints)
        if self.role == "instance":
            return (config, self.instance_checkpoint)
        found = self.path.rglob("*")
        return tuple(file for file in found if file.is_file() and file.name != RECEIPT_NAME)

    @cached_property
    def fold_checkpoints(self) -> tuple[Path, ...]:
        """One nnU-Net checkpoint per configured fold; of ``fold_all`` where folds are missing."""
        folds = self.config.available_folds
        found = [path for fold in folds if (path := self._fold_checkpoint(fold)) is not None]
        if len(found) == len(folds):
            return tuple(found)
        whole = self._fold_checkpoint("all")
        if whole is None:
            wanted = ", ".join(f"fold_{fold}" for fold in folds)
            raise ModelError(
                f"{self.path}: no {' or '.join(CHECKPOINT_NAMES)} in {wanted}, nor in fold_all"
            )
        return (whole,)

    @cached_property
    def instance_checkpoint(self) -> Path:
        """The one Lightning checkpoint of an instance model."""
        found = sorted(self.path.rglob("*weights*.ckpt"))
        if len(found) != 1:
            raise ModelError(f"{self.path}: needs exactly one *weights*.ckpt, found {len(found)}")
        return found[0]

    def read_plan(self, name: str | None = None) -> Plan:
        """Read the configuration `name` of ``plans.json``; default: that of the checkpoints.

        Raises
        ------
        ModelError
            If the file is missing or unusable, or there is no such configuration.
        """
        path = self.path / "plans.json"
        if not path.exists() and (self.path / "plans.pkl").exists():
            raise ModelError(
                f"{self.path}: plans.pkl of nnU-Net v1 is a pickle, which may run code; "
                "only models with plans.json (nnU-Net v2) are loaded"
            )
        names = configuration_names(path)
        if name is None:
            name = names[0] if len(names) == 1 else self._trained_configuration()
        return read_plan(path, name)

    def count_classes(self) -> int:
        """Outputs that ``dataset.json`` declares; ModelError if it is missing or unusable."""
        return count_classes(self.path / "dataset.json")

    def _trained_configuration(self) -> str:
        # only checkpoints know; imported here, so that stages without networks need no torch
        from columna.models.checkpoint import load_checkpoint, trained_configuration

        path = self.fold_checkpoints[0]
        return trained_configuration(load_checkpoint(path), path)

    def _fold_checkpoint(self, fold: str) -> Path | None:
        candidates = (self.path / f"fold_{fold}" / name for name in CHECKPOINT_NAMES)
        return next((file for file in candidates if file.is_file()), None)

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()
