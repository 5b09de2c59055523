"""The training recipe (``config/train.yaml``): typed and strict, like the configuration."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from columna.anatomy import semantic_names
from columna.config import ExpandedPath, PrepareSettings, Settings, read_yaml, validated
from columna.train.labels import ALL, CLASSES, LABELS

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""A name that becomes part of paths and commands."""
"""The networks, in the order of their training."""


class DatasetSettings(Settings):
    """Scans with masks of your own."""

    sheet: ExpandedPath = Field(
        description="Cohort sheet (.tsv, .csv, .parquet) with the columns participant_id, path, "
        "semantic and instance; masks carry SPINEPS's numbers, unless `labels` says otherwise. Or "
        "the results folder of a run: its scans with corrected masks (docs/corrections.md)."
    )
    share: float = Field(
        1.0, gt=0, description="Share of the samples, relative to the others and to `synthetic`."
    )
    labels: dict[int, tuple[str, ...]] | None = Field(
        None,
        description="Number in the semantic masks -> names of the structures "
        "(resources/labels.tsv) that it merges, for masks of other programs and of some "
        "structures only. Such scans need no instance masks, and train phase 1 alone.",
    )
    background: tuple[str, ...] = Field(
        (), description="With `labels`: structures that 0 may hide because nobody drew them."
    )
    seam_mm: float = Field(
        0.0,
        ge=0,
        description="With `labels`: unlabelled voxels this near to two structures are ignored.",
    )

    @property
    def file(self) -> Path:
        """The file that tells when the scans have changed."""
        return self.sheet / "tables" / "scans.parquet" if self.sheet.is_dir() else self.sheet

    @model_validator(mode="after")
    def _names_structures(self) -> "DatasetSettings":
        known = {semantic_names()[label] for label in LABELS}
        named = {name for names in (self.labels or {}).values() for name in names}
        if unknown := sorted((named | set(self.background)) - known):
            raise ValueError(
                f"labels: no structure is called {', '.join(unknown)}; "
                f"there are {', '.join(sorted(known))}"
            )
        if self.labels is None and (self.background or self.seam_mm):
            raise ValueError("background and seam_mm belong to `labels`")
        if any(not 0 < number < 256 for number in self.labels or {}):
            raise ValueError("labels: numbers of structures lie between 1 and 255")
        return self


class LooksSettings(Settings):
    """Real scans to look at while training goes on."""

    sheet: ExpandedPath | None = Field(
        None, description="Cohort sheet of real scans; the columns semantic and instance give Dice."
    )
    every: int = Field(2000, ge=1, description="Steps between two looks.")
    semantic_model: str = Field(
        "bundled_semantic",
        description="Phase-1 model that gives phase 2 its masks where the sheet has none.",
    )


class PhaseSettings(Settings):
    """How one network is trained by columna's own loop."""

    steps: int = Field(20_000, ge=1, description="Steps of the optimizer.")
    batch_size: int = Field(2, ge=1, description="Samples per step.")
    learning_rate: float = Field(gt=0, description="Highest learning rate.")
    mixed: int = Field(
        4, ge=1, description="Scenes whose samples are shuffled among each other; more is smoother."
    )
    start: str | None = Field(
        None,
        description="Model (an id of resources/models.tsv, or a folder) whose weights it begins "
        "with; its architecture must be that of the bundled one. null: random weights.",
    )
    validate_every: int = Field(500, ge=1, description="Steps between two points of the curves.")
    validation_scenes: int = Field(4, ge=1, description="Held-out scenes behind each point.")


class SemanticTraining(PhaseSettings):
    """Phase 1."""

    engine: Literal["columna", "nnunet"] = Field(
        "columna",
        description="columna: the loop of this package, synthetic and real samples; "
        "nnunet: nnU-Net plans, preprocesses and trains on `datasets`, as the paper did.",
    )
    classes: Literal["structures", "vertebra_disc_canal"] = Field(
        "structures",
        description="What the network tells apart: the 14 structures of the method, or vertebra, "
        "disc and canal alone, a baseline without a second phase (docs/baseline.md).",
    )
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate of AdamW.")


class InstanceTraining(PhaseSettings):
    """Phase 2."""

    batch_size: int = Field(1, ge=1, description="Samples per step.")
    learning_rate: float = Field(
        1e-4, gt=0, description="Learning rate of Adam; falls linearly to a hundredth."
    )


class NnunetSettings(Settings):
    """What nnU-Net's own commands are told."""

    dataset_id: int = Field(100, ge=1, le=999, description="Number of the raw dataset.")
    configuration: Name = Field("3d_fullres", description="nnU-Net configuration.")
    trainer: Name = Field(
        "nnUNetTrainerNoMirroring",
        description="nnU-Net trainer; left and right are labels, so nothing may be mirrored.",
    )
    planner: Name = Field("ExperimentPlanner", description="nnU-Net experiment planner.")
    plans: Name = Field("nnUNetPlans", description="Name of the plans that the planner writes.")
    folds: tuple[int, ...] = Field(
        (0,), min_length=1, description="Folds to train, each without its part of the participants."
    )
    device: Literal["cuda", "cpu"] = Field("cuda", description="Where nnU-Net trains.")

    @property
    def dataset(self) -> str:
        """Name of the raw dataset."""
        return f"Dataset{self.dataset_id:03d}_columna"

    @property
    def trained(self) -> str:
        """nnU-Net's name of the folder of what it has trained."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"


class TrainConfig(Settings):
    """Everything that decides how the networks are trained."""

    seed: int = Field(0, ge=0, description="Weights and samples follow from it.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the loop runs.")
    compute: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number format of the loop; auto: bfloat16 where hardware has it."
    )
    workers: int = Field(1, ge=0, description="Processes that make samples; results are the same.")
    synthetic: float = Field(
        1.0, ge=0, description="Share of samples from phantoms and label maps, painted at random."
    )
    maps: int = Field(
        300,
        ge=0,
        description="Phantoms in the pool of label maps that synthetic samples come from; "
        "0: no pool, every sample makes its own.",
    )
    left_out_maps: tuple[str, ...] = Field(
        (), description="Real label maps (docs/training-data.md) that are not trained on."
    )
    datasets: dict[Name, DatasetSettings] = Field(
        default_factory=dict, description="Name -> scans with masks of your own."
    )
    folds: int = Field(
        5, ge=2, description="Parts that participants are divided into, the same for all engines."
    )
    fold: int = Field(0, ge=0, description="The part that is never trained on.")
    prepare: PrepareSettings = Field(
        default_factory=PrepareSettings, description="How scans are prepared."
    )
    looks: LooksSettings = Field(
        default_factory=LooksSettings, description="Real scans to look at during training."
    )
    semantic: SemanticTraining = Field(default_factory=SemanticTraining, description="Phase 1.")
    instance: InstanceTraining = Field(default_factory=InstanceTraining, description="Phase 2.")
    nnunet: NnunetSettings = Field(default_factory=NnunetSettings, description="Engine nnunet.")

    @model_validator(mode="after")
    def _has_data(self) -> "TrainConfig":
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold}: folds count from 0 to {self.folds - 1}")
        if not self.datasets and not self.synthetic:
            raise ValueError("nothing to train on: synthetic is 0 and there are no datasets")
        if max(self.nnunet.folds) >= self.folds:
            raise ValueError(f"nnunet.folds: folds count from 0 to {self.folds - 1}")
        if not self.datasets and self.semantic.engine == "nnunet":
            raise ValueError("engine nnunet trains on `datasets`; there are none")
        for name, dataset in self.datasets.items():
            self._check_labels(name, dataset)
        return self

    def _check_labels(self, name: str, dataset: DatasetSettings) -> None:
        """Refuse labels that leave several classes open, where a class is needed."""
        if dataset.labels is None:
            return
        classes, engine = CLASSES[self.semantic.classes], self.semantic.engine
        sets = {n: classes.of_structures(names) for n, names in dataset.labels.items()}
        sets[0] = classes.of_structures(dataset.background) | {0}
        vague = [str(number) for number, members in sets.items() if len(members) > 1]
        if engine == "nnunet" and (classes == ALL or vague or dataset.seam_mm):
            raise ValueError(
                f"engine nnunet cannot use `labels` (dataset {name}) unless semantic.classes "
                "merges structures as they do, and seam_mm is 0"
            )
        if classes != ALL and vague:
            raise ValueError(
                f"dataset {name}: the number {', '.join(vague)} leaves open which of the classes "
                f"{', '.join(classes.structures)} a voxel has (endplates and sacrum are background)"
            )

    def phase(self, name: str) -> PhaseSettings:
        """Settings of the phase called `name`."""
        return getattr(self, name)


def load_train_config(path: Path) -> TrainConfig:
    """Read a training recipe; a missing file means the defaults.

    Raises
    ------
    ConfigError
        If the file is no YAML mapping, or holds an unknown key or a wrong value.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        content = {}
    return parse_train_config(content, str(path))


def parse_train_config(content: Any, source: str) -> TrainConfig:
    """Validate the recipe `content`; `source` names it in errors."""
    return validated(TrainConfig, content, f"{source}: the recipe")
