"""Fresh phantoms whose noisy truth stands in for the answer of the semantic network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from oracle import BUILD

from columna.anatomy import Semantic
from columna.images.volume import PIR, Volume, resample_mask, save_volume
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.prepare.stage import PADDING
from columna.train.samples.degrade import degraded

MODEL_SPACING_MM = (0.75, 0.75, 1.65)

PHANTOMS = {
    "fused": PhantomSettings(
        seed=31, region="lumbar", spacing_mm=(0.8, 0.8, 4.0), fused_below=(21,)
    ),
    "missing-disc": PhantomSettings(
        seed=32,
        region="lumbar",
        spacing_mm=(1.0, 1.0, 3.0),
        missing_disc_below=(22,),
        orientation=("L", "S", "A"),
    ),
    "scoliosis": PhantomSettings(
        seed=33,
        region="thoracic",
        spacing_mm=(1.1, 1.1, 5.0),
        scoliosis_deg=14.0,
        orientation=("R", "A", "S"),
    ),
    "five": PhantomSettings(
        seed=34,
        region="lumbar",
        spacing_mm=(0.6, 0.6, 2.0),
        fov_mm=(150.0, 160.0, 50.0),
        orientation=("L", "P", "S"),
    ),
    "whole": PhantomSettings(seed=35, region="whole", spacing_mm=(1.2, 1.2, 5.0)),
    "neck": PhantomSettings(
        seed=36,
        region="cervicothoracic",
        spacing_mm=(0.9, 0.9, 3.3),
        orientation=("A", "S", "L"),
    ),
    "thirteen": PhantomSettings(
        seed=37, region="lumbar", spacing_mm=(1.0, 1.0, 4.0), thoracic=13, obliquity_deg=9.0
    ),
    "crushed": PhantomSettings(
        seed=38,
        region="lumbar",
        spacing_mm=(0.7, 0.7, 3.0),
        crushed={21: 0.4},
        orientation=("S", "L", "P"),
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A scan, its true instances, and an answer of phase 1 in the grid of the model, if known."""

    name: str
    scan: Path
    instance: Volume
    answer: Path | None


def make_case(name: str) -> Case:
    """Write the phantom called `name` and its noisy truth."""
    settings = PHANTOMS[name]
    phantom = make_phantom(settings)
    folder = BUILD / "cases" / name
    scan = write_phantom(phantom, folder, f"sub-{name.replace('-', '')}_acq-sag")
    rng = np.random.default_rng([settings.seed, 11])
    semantic, instance = (in_model_grid(mask) for mask in (phantom.semantic, phantom.instance))
    bodies = np.where(semantic.array == Semantic.VERTEBRAL_BODY, instance.array, 0)
    answer = folder / "answer.nii.gz"
    save_volume(semantic.with_array(degraded(semantic.array, bodies, rng)), answer)
    return Case(name, scan, phantom.instance, answer)


def in_model_grid(mask: Volume) -> Volume:
    """Pad, reorient and resample as the package does with images (docs/method.md#preparation)."""
    upright = mask.padded(PADDING).reoriented(PIR)
    resampled = resample_mask(upright, MODEL_SPACING_MM)
    return resampled.with_array(np.ascontiguousarray(resampled.array))
