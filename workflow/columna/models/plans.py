"""nnU-Net's ``plans.json`` and ``dataset.json``: typed, and within limits.

Both come with somebody's weights. Nothing that they name is imported (`models.architecture`), and
their numbers cannot ask for more memory than networks need. The limits are far from what nnU-Net
plans for the largest GPUs. Keys: `nnU-Net, explanation of plans files
<https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/explanation_plans_files.md>`_.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from columna.errors import ModelError
from columna.images.triple import Triple, three
from columna.models.content import listed, read_keys, shown, validated

MAX_CLASSES = 256
MAX_PATCH_VOXELS = 1 << 24
MAX_STAGE_VALUES = 1 << 30
"""Values of all feature maps of one stage: 4 GiB in float32."""
MIN_VOXEL_MM3 = 0.02
"""Resampling to finer voxels would make gigabytes of an ordinary scan."""

Size = Annotated[float, Field(ge=0.1, le=20, allow_inf_nan=False)]
Features = Annotated[int, Field(ge=1, le=2048)]
Count = Annotated[int, Field(ge=1, le=32)]
Odd = Literal[1, 3, 5, 7]
Stride = Annotated[int, Field(ge=1, le=8)]
Side = Annotated[int, Field(ge=1, le=1024)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Exact(BaseModel):
    """A block in which every key counts: one that is not known changes the network."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Loose(BaseModel):
    """A block that says more than inference needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class NormArguments(_Exact):
    """Arguments of a normalisation layer."""

    eps: float = Field(1e-5, gt=0, lt=1)
    momentum: Fraction | None = 0.1
    affine: bool = False
    track_running_stats: bool = False


class DropoutArguments(_Exact):
    """Arguments of a dropout layer, which does nothing at inference."""

    p: Fraction = 0.5
    inplace: bool = False


class ActivationArguments(_Exact):
    """Arguments of a nonlinearity."""

    negative_slope: Number = 0.01
    inplace: bool = False


class NetworkArguments(_Exact):
    """What a network of nnU-Net is built from, stage by stage from the finest to the coarsest."""

    n_stages: int = Field(ge=2, le=10)
    features_per_stage: tuple[Features, ...]
    conv_op: str
    kernel_sizes: tuple[tuple[Odd, Odd, Odd], ...]
    strides: tuple[tuple[Stride, Stride, Stride], ...]
    n_conv_per_stage: tuple[Count, ...] | None = None
    n_blocks_per_stage: tuple[Count, ...] | None = None
    n_conv_per_stage_decoder: tuple[Count, ...]
    conv_bias: bool = False
    norm_op: str | None = None
    norm_op_kwargs: NormArguments | None = None
    dropout_op: str | None = None
    dropout_op_kwargs: DropoutArguments | None = None
    nonlin: str | None = None
    nonlin_kwargs: ActivationArguments | None = None
    nonlin_first: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        convolutions = self.n_conv_per_stage or self.n_blocks_per_stage or ()
        for stages in (self.features_per_stage, self.kernel_sizes, self.strides, convolutions):
            if len(stages) != self.n_stages:
                raise ValueError(f"a list has {len(stages)} entries for {self.n_stages} stages")
        if len(self.n_conv_per_stage_decoder) != self.n_stages - 1:
            raise ValueError("n_conv_per_stage_decoder needs one entry less than there are stages")
        if self.strides[0] != (1, 1, 1):
            raise ValueError("the strides of the first stage are not 1")
        return self


class Architecture(_Loose):
    """The block ``architecture``; its list of names to import is not read."""

    network_class_name: str
    arch_kwargs: NetworkArguments


class _ClassicPlan(_Loose):
    """The keys in place of ``architecture`` in plans before nnU-Net 2.3."""

    UNet_class_name: Literal["PlainConvUNet", "ResidualEncoderUNet"]
    UNet_base_num_features: Features
    unet_max_num_features: Features
    n_conv_per_stage_encoder: Annotated[tuple[Count, ...], Field(max_length=10)]
    n_conv_per_stage_decoder: tuple[Count, ...]
    pool_op_kernel_sizes: list[Any]
    conv_kernel_sizes: list[Any]

    def architecture(self) -> dict[str, Any]:
        """Write the block ``architecture`` that nnU-Net reads out of them."""
        stages = len(self.n_conv_per_stage_encoder)
        features = [self.UNet_base_num_features * 2**stage for stage in range(stages)]
        is_plain = self.UNet_class_name == "PlainConvUNet"
        return {
            "network_class_name": "dynamic_network_architectures.architectures.unet."
            + self.UNet_class_name,
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": [min(n, self.unet_max_num_features) for n in features],
                "conv_op": "torch.nn.Conv3d",
                "kernel_sizes": self.conv_kernel_sizes,
                "strides": self.pool_op_kernel_sizes,
                "n_conv_per_stage" if is_plain else "n_blocks_per_stage": (
                    self.n_conv_per_stage_encoder
                ),
                "n_conv_per_stage_decoder": self.n_conv_per_stage_decoder,
                "conv_bias": True,
                "norm_op": "torch.nn.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
        }


class Intensities(_Loose):
    """Intensities of the foreground of all training images."""

    mean: Number
    std: Number
    percentile_00_5: Number
    percentile_99_5: Number


class Plan(_Loose):
    """One configuration of ``plans.json``, with what it inherits and what all of them share.

    "Network axes" are the order of axes that nnU-Net works in: the reversed axes of the model's
    orientation, permuted by `transpose_forward`.
    """

    patch_size: tuple[Side, Side, Side]
    spacing: tuple[Size, Size, Size]
    normalization_schemes: Annotated[tuple[str, ...], Field(min_length=1)]
    use_mask_for_norm: Annotated[tuple[bool, ...], Field(min_length=1)]
    architecture: Architecture
    transpose_forward: tuple[int, int, int]
    intensities: Intensities | None = None

    @model_validator(mode="after")
    def _is_affordable(self) -> Self:
        if sorted(self.transpose_forward) != [0, 1, 2]:
            raise ValueError("transpose_forward is no order of three axes")
        if math.prod(self.spacing) < MIN_VOXEL_MM3:
            raise ValueError(f"spacing: voxels of less than {MIN_VOXEL_MM3} mm3")
        if math.prod(self.patch_size) > MAX_PATCH_VOXELS:
            raise ValueError(f"patch_size: more than {MAX_PATCH_VOXELS} voxels")
        size = list(self.patch_size)
        network = self.architecture.arch_kwargs
        for features, strides in zip(network.features_per_stage, network.strides, strict=True):
            if any(n % stride for n, stride in zip(size, strides, strict=True)):
                raise ValueError("patch_size cannot be divided by the strides")
            size = [n // stride for n, stride in zip(size, strides, strict=True)]
            if features * math.prod(size) > MAX_STAGE_VALUES:
                raise ValueError("features_per_stage: more than fits into memory with this patch")
        return self

    @property
    def spacing_mm(self) -> Triple:
        """Voxel size along the axes of the model's orientation."""
        reversed_axes = [0.0] * 3
        for axis, size in zip(self.transpose_forward, self.spacing, strict=True):
            reversed_axes[axis] = size
        return three(reversed_axes[::-1])


def configuration_names(path: Path) -> list[str]:
    """Names of all configurations of a ``plans.json``; ModelError if there are none."""
    return list(_configurations(read_keys(path), path))


def read_plan(path: Path, name: str) -> Plan:
    """Read the configuration called `name`.

    Raises
    ------
    ModelError
        If the file is damaged, or describes no 3-D network with one input, or one that would take
        more memory than the limits of this module.
    """
    plans = read_keys(path)
    found = _configurations(plans, path)
    content = _inherited(found, name, path)
    if any(_has_two_axes(content.get(key)) for key in ("patch_size", "spacing")):
        raise ModelError(f"{path}: configuration {shown(name)}: 2-D nnU-Nets are not supported")
    if content.get("previous_stage") is not None:
        raise ModelError(f"{path}: configuration {shown(name)}: cascades are not supported")
    what = f"{path}: configuration {shown(name)}"
    if "architecture" not in content:
        classic = validated(_ClassicPlan, content, f"{what}, which has no architecture")
        content["architecture"] = classic.architecture()
    shared = {"transpose_forward": plans.get("transpose_forward")}
    return validated(Plan, content | shared | {"intensities": _intensities(plans)}, what)


def count_classes(path: Path) -> int:
    """Count the outputs that ``dataset.json`` declares, background among them.

    Raises
    ------
    ModelError
        If the file is damaged, or describes a kind of nnU-Net that is not supported.
    """
    content = read_keys(path)
    channels = content.get("modality", content.get("channel_names"))
    if not isinstance(channels, dict | list) or len(channels) != 1:
        raise ModelError(f"{path}: needs a network with one input channel")
    labels = content.get("labels")
    if not isinstance(labels, dict):
        raise ModelError(f"{path}: names no labels")
    numbers = [value for name, value in labels.items() if name != "ignore"]
    numbers = [n[0] if isinstance(n, list) and len(n) == 1 else n for n in numbers]
    if any(isinstance(number, list) for number in numbers):
        raise ModelError(f"{path}: region-based nnU-Nets are not supported")
    wrong = [shown(n) for n in numbers if not isinstance(n, int) or not 0 <= n < MAX_CLASSES]
    if wrong:
        raise ModelError(f"{path}: labels are not whole numbers below 256: {listed(wrong)}")
    classes = len(set(numbers))
    if labels.get("background") not in (0, [0]) or set(numbers) != set(range(classes)):
        raise ModelError(f"{path}: labels do not count from background, 0, without gaps")
    if classes < 2:
        raise ModelError(f"{path}: names no label besides background")
    return classes


def _configurations(plans: Mapping[str, Any], path: Path) -> dict[str, Any]:
    found = plans.get("configurations")
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{path}: names no configurations")
    return found


def _inherited(found: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """The configuration `name`, with what it inherits."""
    content: dict[str, Any] = {}
    seen: set[str] = set()
    following: Any = name
    while following is not None:
        known = isinstance(following, str) and isinstance(found.get(following), dict)
        if not known or following in seen:
            raise ModelError(
                f"{path}: configuration {shown(following)} is missing or inherits from itself; it "
                f"holds {listed(map(shown, found))}"
            )
        seen.add(following)
        content = found[following] | content
        following = found[following].get("inherits_from")
    return content


def _has_two_axes(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _intensities(plans: Mapping[str, Any]) -> Any:
    """Intensities of the first channel, under the names of old and new plans."""
    for key in ("per_channel", "by_modality"):
        channels = plans.get(f"foreground_intensity_properties_{key}")
        if isinstance(channels, dict):
            return channels.get("0")
    return None
