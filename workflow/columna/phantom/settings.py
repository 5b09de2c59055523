"""What can be chosen about a phantom, and random choices over the plausible range."""

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from columna.config import Settings
from columna.images.triple import Triple

SpineRegion = Literal["whole", "lumbar", "thoracic", "cervicothoracic"]


class PhantomSettings(Settings):
    """One synthetic spine and the scan that shows it. Lengths in mm, angles in degrees."""

    seed: int = Field(0, ge=0, description="All random draws follow from it.")
    region: SpineRegion = Field("whole", description="Part of the spine inside the field of view.")
    spacing_mm: Triple = Field(
        (0.857, 0.857, 3.3), description="Voxel size towards posterior, inferior and right."
    )
    fov_mm: Triple | None = Field(
        None, description="Field of view towards posterior, inferior, right; null: by region."
    )
    fov_shift_mm: Triple = Field(
        (0.0, 0.0, 0.0), description="Move the field of view towards posterior, inferior, right."
    )
    orientation: tuple[str, str, str] = Field(
        ("P", "I", "R"), description="Where the array axes of the output run to."
    )
    obliquity_deg: float = Field(
        0.0, ge=-60, le=60, description="Angle between the slice normal and the left-right axis."
    )

    thoracic: int = Field(12, ge=11, le=13, description="Number of thoracic vertebrae.")
    lumbar: int = Field(5, ge=4, le=6, description="Number of lumbar vertebrae.")
    sacral_slope_deg: float = Field(36.0, description="Tilt of the upper plate of S1.")
    lumbar_lordosis_deg: float = Field(44.0, description="Angle between S1 and L1.")
    thoracic_kyphosis_deg: float = Field(34.0, description="Angle between L1 and T1.")
    cervical_lordosis_deg: float = Field(14.0, description="Angle between T1 and C2.")
    scoliosis_deg: float = Field(0.0, description="Largest sideways tilt of a body.")
    size: float = Field(1.0, gt=0.5, lt=1.5, description="Scale of all lengths.")
    disc_height: float = Field(1.0, gt=0.2, lt=2, description="Scale of the disc heights.")
    canal_size: float = Field(1.0, gt=0.4, lt=1.5, description="Scale of canal and cord.")
    irregularity: float = Field(
        0.03, ge=0, le=0.2, description="Relative SD of sizes from level to level."
    )
    endplate_mm: float = Field(1.1, gt=0, le=3, description="Thickness of the endplates.")
    fused_below: tuple[int, ...] = Field(
        (), description="Vertebrae (instance labels) that are bone-bridged with the next one."
    )
    missing_disc_below: tuple[int, ...] = Field(
        (), description="Vertebrae whose disc is not labelled (collapsed, replaced)."
    )
    crushed: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> lost share of its anterior height."
    )

    surroundings: Literal["simple", "body"] = Field(
        "simple", description="Few unlabelled tissues, or a whole body of them."
    )
    disc_narrowed: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> lost share of the disc height below it."
    )
    bulging: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> how far the disc below it bulges, mm."
    )
    listhesis_mm: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> how far it slipped forwards."
    )
    biconcave: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> lost share of its middle height."
    )
    schmorl: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> depth of nodes in its endplates, mm."
    )
    osteophytes: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> relative flare of its rims."
    )
    stenosis: dict[int, float] = Field(
        default_factory=dict, description="Vertebra -> lost share of canal depth behind it."
    )
    posterior_size: float = Field(1.0, gt=0.5, lt=2, description="Scale of posterior elements.")
    posterior_jitter: float = Field(
        0.0, ge=0, le=0.5, description="Relative SD of the sizes of single posterior elements."
    )
    squareness: float = Field(
        3.0, ge=2, le=5, description="Exponent of the bodies' outlines (2: elliptic)."
    )
    waist: float = Field(
        0.09, ge=0, le=0.4, description="Relative narrowing of bodies at mid height."
    )
    body_width: float = Field(1.0, gt=0.5, lt=1.6, description="Scale of the bodies' widths.")
    canal_width: float = Field(
        1.0, gt=0.5, lt=2, description="Scale of the lumbar canal's width; half of it above L1."
    )
    sacral_notch: float = Field(
        0.0, ge=0, le=1, description="How far sacral segments are told apart by remnant discs."
    )
    coccyx: bool = Field(False, description="Unlabelled coccyx below the sacrum.")

    noise: float = Field(0.03, ge=0, description="SD of the noise relative to CSF.")
    bias: float = Field(0.3, ge=0, le=2, description="Strength of the intensity inhomogeneity.")
    texture: float = Field(0.06, ge=0, le=1, description="Relative SD of tissue texture.")

    @field_validator("spacing_mm")
    @classmethod
    def _positive(cls, value: Triple) -> Triple:
        if min(value) <= 0:
            raise ValueError("spacing must be positive")
        return value


def random_settings(seed: int, **fixed: object) -> PhantomSettings:
    """Draw a plausible patient and scan from `seed`; `fixed` fields are kept as given."""
    rng = np.random.default_rng([seed, 7])
    region = rng.choice(["whole", "lumbar", "lumbar", "thoracic", "cervicothoracic"])
    level = int(rng.integers(3, 24))
    rare = rng.random(4) < (0.06, 0.06, 0.15, 0.05)
    values: dict[str, object] = {
        "seed": seed,
        "region": str(region),
        "obliquity_deg": float(rng.normal(0, 4)),
        "fov_shift_mm": tuple(float(v) for v in rng.normal(0, (12, 20, 4))),
        "thoracic": int(rng.choice([11, 12, 13], p=[0.04, 0.92, 0.04])),
        "lumbar": int(rng.choice([4, 5, 6], p=[0.05, 0.90, 0.05])),
        **_balanced_curves(rng),
        "scoliosis_deg": float(rng.normal(0, 5)),
        "size": float(np.clip(rng.normal(1, 0.08), 0.8, 1.2)),
        "disc_height": float(np.clip(rng.normal(0.95, 0.2), 0.45, 1.5)),
        "canal_size": float(np.clip(rng.normal(1, 0.12), 0.7, 1.35)),
        "irregularity": float(rng.uniform(0.01, 0.07)),
        "endplate_mm": float(rng.uniform(0.9, 1.5)),
        "fused_below": (level,) if rare[0] else (),
        "missing_disc_below": (level,) if rare[1] else (),
        "crushed": {level: float(rng.uniform(0.1, 0.5))} if rare[2] else {},
        "noise": float(rng.uniform(0.01, 0.08)),
        "bias": float(rng.uniform(0.1, 0.6)),
    }
    return PhantomSettings.model_validate(values | fixed)


def _balanced_curves(rng: np.random.Generator) -> dict[str, float]:
    """Sagittal curves that belong together: each person's head ends up about level."""
    slope, l1 = rng.normal(37, 7), rng.normal(-8, 5)
    t1, c2 = rng.normal(22, 6), rng.normal(8, 6)
    return {
        "sacral_slope_deg": float(slope),
        "lumbar_lordosis_deg": float(slope - l1),
        "thoracic_kyphosis_deg": float(t1 - l1),
        "cervical_lordosis_deg": float(t1 - c2),
    }
