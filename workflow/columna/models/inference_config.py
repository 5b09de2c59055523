"""``inference_config.json``: what a SPINEPS model folder says about itself.

Keys, types and defaults follow docs/method.md#the-configuration-of-a-model.
"""

import csv
import logging
import math
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from columna.anatomy import RESOURCES, levels
from columna.images.triple import Triple
from columna.models.content import listed, read_keys, shown, validated
from columna.models.plans import MIN_VOXEL_MM3, Size

CONFIG_NAME = "inference_config.json"
MAX_FOLDS = 32
MAX_CUTOUT_VOXELS = 1 << 24

Role = Literal["semantic", "instance", "labelling"]

_log = logging.getLogger(__name__)


@cache
def _label_numbers() -> dict[str, int]:
    """Structure and level names -> label; a structure wins over a level of the same name."""
    numbers = {level.name: label for label, level in levels().items()}
    with open(RESOURCES / "locations.tsv", newline="", encoding="utf-8") as stream:
        numbers |= {
            row["name"]: int(row["label"]) for row in csv.DictReader(stream, delimiter="\t")
        }
    return numbers


def label_number(name: str | int) -> int:
    """Resolve a label of a config: structure name, level name or number.

    Raises
    ------
    ValueError
        If `name` is none of these.
    """
    numbers = _label_numbers()
    if isinstance(name, str) and name in numbers:
        return numbers[name]
    try:
        if isinstance(name, str | int) or (isinstance(name, float) and name.is_integer()):
            return int(name)
    except ValueError:
        pass  # told below, as other types are
    raise ValueError(f"{shown(name)} is neither a structure nor a level nor a number")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_folds(value: object) -> object:
    """Accept a number n: the folds 0 to n-1; a text: that fold; a list: those."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(fold) for fold in range(min(value, MAX_FOLDS + 1))]
    if isinstance(value, list | tuple):
        return [str(fold) if isinstance(fold, int) else fold for fold in value]
    return _as_list(value)


def _as_range(value: object) -> object:
    """Three numbers mean a fixed size: minimum and maximum are the same."""
    if isinstance(value, list | tuple) and len(value) == 3:
        return (value, value)
    return value


def _resolve_values(value: object) -> object:
    return {k: label_number(v) for k, v in value.items()} if isinstance(value, dict) else value


def _resolve_keys(value: object) -> object:
    return {label_number(k): v for k, v in value.items()} if isinstance(value, dict) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
AxisCode = Literal["L", "R", "A", "P", "S", "I"]
AXIS_PAIRS = ("LR", "AP", "SI")
Fold = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,16}$")]
"""The rest of a folder's name, so that it must not lead elsewhere."""
Sizes = tuple[Size, Size, Size]
Code = Annotated[int, Field(ge=0, le=255)]
Voxels = Annotated[int, Field(ge=0, le=1_000_000)]
CutoutSide = Annotated[int, Field(ge=8, le=1024, multiple_of=8)]
"""The network halves its input three times."""

_DEFAULT_MAPPING = {
    41: 1, 42: 2, 43: 3, 44: 4, 45: 5, 46: 6, 47: 7, 48: 8, 49: 9, 50: 9, 51: 9, 26: 0,
}  # fmt: skip


class InferenceConfig(BaseModel):
    """The content of ``inference_config.json``; keys without a default are mandatory."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    log_name: str
    modality: Names
    acquisition: str
    modeltype: str
    model_expected_orientation: tuple[AxisCode, AxisCode, AxisCode]
    available_folds: Annotated[
        tuple[Fold, ...], BeforeValidator(_as_folds), Field(min_length=1, max_length=MAX_FOLDS)
    ]
    inference_augmentation: bool
    resolution_range: Annotated[tuple[Sizes, Sizes], BeforeValidator(_as_range)]
    default_step_size: float = Field(ge=0.05, le=1)
    labels: Annotated[dict[int, int], BeforeValidator(_resolve_values)]
    expected_inputs: Names = ("img",)
    has_c1: bool = False
    needs_corp: bool = False
    sacrum_ids: tuple[int, ...] = (26,)
    cutout_size: tuple[CutoutSide, CutoutSide, CutoutSide] = (248, 304, 64)
    corpus_size_cleaning: Voxels = 100
    corpus_border_threshold: int = 10
    vert_size_threshold: Voxels = 250
    metal: tuple[int, ...] = (80,)
    mapping: Annotated[dict[Code, Code], BeforeValidator(_resolve_keys)] = _DEFAULT_MAPPING

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        pairs = [p for axis in self.model_expected_orientation for p in AXIS_PAIRS if axis in p]
        if set(pairs) != set(AXIS_PAIRS):
            raise ValueError("model_expected_orientation: names an axis twice")
        if {name.upper() for name in self.modality} == {"CT"}:
            raise ValueError("modality: the model is for CT; columna takes T2w MRI")
        return self

    @model_validator(mode="after")
    def _is_affordable(self) -> Self:
        if any(low > high for low, high in zip(*self.resolution_range, strict=True)):
            raise ValueError("resolution_range: a smallest size is above the largest")
        if math.prod(self.maximum_mm) < MIN_VOXEL_MM3:
            raise ValueError(f"resolution_range: voxels of less than {MIN_VOXEL_MM3} mm3")
        if math.prod(self.cutout_size) > MAX_CUTOUT_VOXELS:
            raise ValueError(f"cutout_size: more than {MAX_CUTOUT_VOXELS} voxels")
        return self

    @property
    def role(self) -> Role:
        """What the model is for: classifiers label, models of masks find instances."""
        if self.modeltype == "classifier":
            return "labelling"
        return "instance" if "SEG" in self.modality and len(self.modality) == 1 else "semantic"

    @property
    def minimum_mm(self) -> Triple:
        """Smallest accepted voxel size along the axes of `model_expected_orientation`."""
        return self.resolution_range[0]

    @property
    def maximum_mm(self) -> Triple:
        """Largest accepted voxel size along the axes of `model_expected_orientation`."""
        return self.resolution_range[1]


def read_inference_config(path: Path) -> InferenceConfig:
    """Read and check ``inference_config.json``.

    Raises
    ------
    ModelError
        Naming the file and every missing or unusable key.
    """
    content = read_keys(path)
    unknown = sorted(set(content) - set(InferenceConfig.model_fields))
    if unknown:
        _log.warning("%s: ignored unknown keys %s", path.name, listed(map(shown, unknown)))
    return validated(InferenceConfig, content, str(path))
