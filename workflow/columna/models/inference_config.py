"""``inference_config.json``: what a SPINEPS model folder says about itself.

Keys, types and defaults follow spineps-behaviour 2.2.
"""

import csv
import logging
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from columna.anatomy import RESOURCES, levels
from columna.errors import ModelError
from columna.files import read_json
from columna.models.grid import Triple

CONFIG_NAME = "inference_config.json"

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
        return int(name)
    except ValueError:
        raise ValueError(f"{name!r} is neither a structure nor a level nor a number") from None


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_folds(value: object) -> object:
    """Accept a number n: the folds 0 to n-1; a text: that fold; a list: those."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(fold) for fold in range(value)]
    if isinstance(value, list | tuple):
        return [str(fold) for fold in value]
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
Size = Annotated[float, Field(gt=0)]
Sizes = tuple[Size, Size, Size]

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
    available_folds: Annotated[tuple[str, ...], BeforeValidator(_as_folds), Field(min_length=1)]
    inference_augmentation: bool
    resolution_range: Annotated[tuple[Sizes, Sizes], BeforeValidator(_as_range)]
    default_step_size: float = Field(gt=0, le=1)
    labels: Annotated[dict[int, int], BeforeValidator(_resolve_values)]
    expected_inputs: Names = ("img",)
    has_c1: bool = False
    needs_corp: bool = False
    sacrum_ids: tuple[int, ...] = (26,)
    cutout_size: tuple[int, int, int] = (248, 304, 64)
    corpus_size_cleaning: int = 100
    corpus_border_threshold: int = 10
    vert_size_threshold: int = 250
    metal: tuple[int, ...] = (80,)
    mapping: Annotated[dict[int, int], BeforeValidator(_resolve_keys)] = _DEFAULT_MAPPING

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
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds no keys")
    unknown = sorted(set(content) - set(InferenceConfig.model_fields))
    if unknown:
        _log.warning("%s: ignored unknown keys %s", path.name, ", ".join(unknown))
    try:
        return InferenceConfig.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise ModelError(f"{path}: {problems}") from error
