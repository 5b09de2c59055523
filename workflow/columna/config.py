"""The configuration: typed, strict, with the defaults and descriptions that the docs are made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PrepareSettings(Settings):
    """How scans are checked and prepared."""

    n4: bool = Field(True, description="Correct the bias field with N4.")
    max_obliquity_deg: float = Field(
        45.0, ge=0, le=45, description="Refuse scans tilted by more than this against sagittal."
    )


class SemanticSettings(Settings):
    """Phase 1: the nnU-Net."""

    compute: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the network; auto takes half precision where fast."
    )
    step_size: float | None = Field(
        None, gt=0, le=1, description="Sliding-window step as a fraction of the patch; null: model's."
    )
    mirroring: bool | None = Field(
        None, description="Average over mirrored passes; null: what the model folder says."
    )


class InstanceSettings(Settings):
    """Phase 2: vertebra instances."""

    compute: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the network; auto takes half precision where fast."
    )
    batch_size: int = Field(1, ge=1, description="Windows per forward pass.")


class LabelSettings(Settings):
    """Phase 3: final masks and level names."""

    naming: Literal["anchored", "top_down"] = Field(
        "anchored",
        description="anchored: name levels from the sacrum or C2, else leave them unnamed; "
        "top_down: number from C2 downwards as SPINEPS does.",
    )


class MeasureSettings(Settings):
    """Tables of measures."""

    fov_margin_mm: float = Field(
        2.0, ge=0, description="A body closer than this to the upper or lower image edge is partial."
    )
