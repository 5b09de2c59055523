"""The configuration: typed and strict; its descriptions and defaults make the docs."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from columna.chain import BESIDE, CHAIN
from columna.domains import IN_VERDICT, Domain
from columna.errors import ConfigError
from columna.files import sha256_json
from columna.paths import expanded


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def _without_braces(text: str) -> str:
    if {"{", "}"} & set(text):
        raise ValueError("braces cannot be part of this path: Snakemake reads them as wildcards")
    return text


ExpandedPath = Annotated[Path, AfterValidator(lambda path: Path(expanded(str(path))))]
"""A path in which ``~`` and variables of the environment are replaced."""
ResultsPath = Annotated[ExpandedPath, AfterValidator(lambda path: Path(_without_braces(str(path))))]
ModelName = Annotated[str, AfterValidator(expanded), AfterValidator(_without_braces)]
"""An id of resources/models.tsv, or the path of a folder, expanded."""


class Selection(Settings):
    """Scans to take from the cohort; what is left out of a selection is not restricted."""

    participants: tuple[str, ...] = Field((), description="Labels, with or without sub-.")
    sessions: tuple[str, ...] = Field((), description="Labels, with or without ses-.")
    entities: dict[str, tuple[str, ...] | None] = Field(
        {},
        description="Entity of the file name (acq or acquisition) -> values to take; '*': any "
        "value; null: files without it.",
    )


class PrepareSettings(Settings):
    """How scans are checked and prepared."""

    n4: bool = Field(True, description="Correct the bias field with N4.")
    n4_axes: Literal["anatomical", "stored"] = Field(
        "anatomical",
        description="Axes along which N4 picks its samples. anatomical: the same field however a "
        "scan is stored; stored: those of the file, as SPINEPS does.",
    )
    max_obliquity_deg: float = Field(
        45.0, ge=0, le=45, description="Refuse scans tilted by more than this against sagittal."
    )


class SemanticSettings(Settings):
    """Phase 1: the nnU-Net."""

    compute: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the network; auto takes half precision where fast."
    )
    step_size: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Sliding-window step as a fraction of the patch; null: model's.",
    )
    mirroring: bool | None = Field(
        None, description="Average over mirrored passes; null: what the model folder says."
    )
    max_gap_mm: float | None = Field(
        15.0,
        gt=0,
        description="Structures farther than this from the rest of the spine are deleted; null: "
        "only those whose box is away from it, as SPINEPS does.",
    )


class InstanceSettings(Settings):
    """Phase 2: vertebra instances."""

    compute: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the network; auto takes half precision where fast."
    )
    batch_size: int = Field(1, ge=1, description="Windows per forward pass.")


class VariantPriors(Settings):
    """How many spines have another number of vertebrae (docs/levels.md has the sources)."""

    t11: float = Field(
        0.05, gt=0, lt=0.4, description="Share of spines with 11 thoracic vertebrae (Tins 2016)."
    )
    t13: float = Field(
        0.05, gt=0, lt=0.4, description="Share of spines with 13 thoracic vertebrae (Tins 2016)."
    )
    l4: float = Field(
        0.05,
        gt=0,
        lt=0.4,
        description="Share of spines with four lumbar vertebrae, sacralised L5 included (Tins "
        "2016, Tokgoz 2014).",
    )
    l6: float = Field(
        0.06,
        gt=0,
        lt=0.4,
        description="Share of spines with six lumbar vertebrae, lumbarised S1 included (Tins "
        "2016, Tokgoz 2014).",
    )
    transitional: float = Field(
        0.05, gt=0, lt=0.4, description="Share of spines with a transitional lumbosacral vertebra."
    )


class LabelSettings(Settings):
    """Phase 3: final masks and level names."""

    naming: Literal["chain", "top_down"] = Field(
        "chain",
        description="chain: the most probable level of every vertebra, by all that the masks show "
        "(docs/levels.md); top_down: number from C2 downwards as SPINEPS does.",
    )
    least_name_p: float = Field(
        0.6,
        gt=0.5,
        le=1,
        description="A vertebra whose best name is less probable than this has none; the table "
        "`level_posterior` keeps the probabilities.",
    )
    variants: VariantPriors = Field(
        default_factory=VariantPriors, description="Prior probabilities of unusual spines."
    )
    borders: Literal["smooth", "nearest"] = Field(
        "smooth",
        description="Masks of the networks in the grid of the scan. smooth: a vote of the eight "
        "nearest voxels; nearest: every voxel repeated, as SPINEPS does.",
    )
    given_levels: Literal["keep", "rename"] = Field(
        "keep",
        description="Levels of masks that the cohort sheet gives. keep: their instance numbers "
        "are right; rename: name them by `naming`.",
    )

    @field_validator("naming", mode="before")
    @classmethod
    def _renamed(cls, value: object) -> object:
        if value == "anchored":
            raise ValueError(
                "'anchored', which counted from the sacrum or C2, is gone: write 'chain' (the "
                "default), which weighs all evidence; `least_name_p` says how sure a name must be"
            )
        return value


class MeasureSettings(Settings):
    """Tables of measures."""

    fov_margin_mm: float = Field(
        2.0,
        ge=0,
        description="What lies closer than this to the upper or lower image edge counts as cut.",
    )
    genant_like_grade: bool = Field(
        False,
        description="Grade height losses like Genant (a surrogate from measures, not a reading).",
    )
    mesh_volume: bool = Field(
        False, description="Also measure volumes within surface meshes (structures); slower."
    )


class AssessSettings(Settings):
    """Verdicts on scans."""

    verdict_domains: tuple[Domain, ...] = Field(
        IN_VERDICT,
        min_length=1,
        description="Domains whose rules make the verdict on a scan (qc_verdict); each has a "
        "verdict of its own, too.",
    )


class EvaluateSettings(Settings):
    """Masks against reference masks."""

    conventions: dict[str, Any] = Field(
        {},
        description="What the labels of your references mean: name -> structures, instances, "
        "levels and cut, as in resources/conventions.yaml.",
    )


class PictureSettings(Settings):
    """The picture of every scan."""

    enabled: bool = Field(True, description="Draw a picture of every scan (docs/report.md).")
    whole_plane: bool = Field(
        False,
        description="Show the whole plane, not the spine alone; then a head scan may show a face.",
    )


class ModelSettings(Settings):
    """Which networks, and where they run."""

    semantic: ModelName = Field(
        "bundled_semantic", description="Phase-1 model: an id of resources/models.tsv, or a folder."
    )
    instance: ModelName = Field(
        "bundled_instance", description="Phase-2 model: an id of resources/models.tsv, or a folder."
    )
    quality: ExpandedPath | None = Field(
        None,
        description="File that predicts the Dice of every structure (`columna train quality`); "
        "without one: the bundled one.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where networks run; cpu also keeps the workflow from asking for GPUs."
    )


class Config(Settings):
    """Everything that decides what a run computes."""

    cohort: ExpandedPath = Field(
        Path("config/cohort.tsv"),
        description="A cohort sheet (.tsv, .csv, .parquet) or a BIDS folder.",
    )
    results: ResultsPath = Field(
        Path("results"), description="Folder of everything that is written."
    )
    corrections: ExpandedPath | None = Field(
        None,
        description="File of what people have decided about results, such as "
        "config/corrections.tsv (docs/corrections.md); null: none.",
    )
    corrected_masks: ExpandedPath | None = Field(
        None,
        description="Folder of masks that were edited in another program, named as the delivered "
        "ones (docs/corrections.md); null: none.",
    )
    select: tuple[Selection, ...] = Field(
        (),
        description="Scans to take from the cohort: those that any of these selections takes; "
        "empty: all.",
    )
    batch_size: int = Field(
        32, ge=1, le=10_000, description="Scans per job; results do not depend on it."
    )
    models: ModelSettings = Field(default_factory=ModelSettings, description="Networks.")
    participant_columns: tuple[str, ...] = Field(
        ("age", "sex", "gender", "group", "site", "center", "centre"),
        description="Columns of the cohort sheet, or of participants.tsv and sessions.tsv, that "
        "the table `participants` may hold, where the cohort has them.",
    )
    training: ExpandedPath = Field(
        Path("config/train.yaml"), description="Recipe of `snakemake train`; see docs/training.md."
    )
    prepare: PrepareSettings = Field(default_factory=PrepareSettings, description="Preparation.")
    semantic: SemanticSettings = Field(default_factory=SemanticSettings, description="Phase 1.")
    instance: InstanceSettings = Field(default_factory=InstanceSettings, description="Phase 2.")
    label: LabelSettings = Field(default_factory=LabelSettings, description="Phase 3.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings, description="Measures.")
    assess: AssessSettings = Field(default_factory=AssessSettings, description="Verdicts.")
    evaluate: EvaluateSettings = Field(
        default_factory=EvaluateSettings, description="Evaluation against references."
    )
    pictures: PictureSettings = Field(default_factory=PictureSettings, description="Pictures.")


_COLLECT_KEYS = {**CHAIN["measure"].settings, "participant_columns": True, "assess": True}
_JOB_KEYS: dict[str, dict[str, Any]] = {
    **{stage: facts.settings for stage, facts in {**CHAIN, **BESIDE}.items()},
    "collect": _COLLECT_KEYS,
    "report": {**_COLLECT_KEYS, "pictures": True},
}
"""The part of the configuration that each job depends on: it is repeated when that changes."""


def load_config(path: Path) -> Config:
    """Read a YAML configuration.

    Raises
    ------
    ConfigError
        If the file is missing, is no YAML mapping, or holds an unknown key or a wrong value.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such configuration file") from error
    return parse_config(content, str(path))


def parse_config(content: Any, source: str) -> Config:
    """Validate configuration `content`; `source` names it in errors."""
    return validated(Config, content, f"{source}: the configuration")


def read_yaml(path: Path) -> Any:
    """Content of a YAML file, an empty mapping where it is empty; ConfigError if it is no YAML."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


def validated(model: type[AnySettings], content: Any, what: str) -> AnySettings:
    """`content` as a `model`; the ConfigError of wrong content begins with `what`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in error.errors()
        )
        raise ConfigError(f"{what} is not valid:\n{problems}") from error


def stage_settings(config: Config, stage: str) -> str:
    """The part of `config` that a stage depends on, as JSON that `parse_config` reads back."""
    return config.model_dump_json(include=_JOB_KEYS[stage])


def config_sha256(config: Config) -> str:
    """Digest of everything in `config` that results depend on (not paths, batch size, device)."""
    return sha256_json(config.model_dump(mode="json", include=CHAIN["measure"].settings))
