"""Published scans and masks, which are no part of the repository (`columna.real_data`)."""

from pathlib import Path

import pytest

from columna.real_data import VARIABLE, data_folder

DATA = data_folder()
WITHOUT = f"real scans are needed: {VARIABLE} names no folder that holds them (CONTRIBUTING.md)"

needs_data = pytest.mark.skipif(DATA is None, reason=WITHOUT)
"""Skip a test, with a sentence, where there are no real scans."""


def published(name: str) -> Path:
    """Path of a published file below the folder of real data; skips the test without it."""
    if DATA is None:
        pytest.skip(WITHOUT)
    if not (DATA / name).is_file():
        pytest.skip(f"{VARIABLE} holds no {name}")
    return DATA / name


def published_masks(version: str = "pred") -> list[Path]:
    """Semantic and instance mask of a lumbar scan (panoptica); 2 is the topmost vertebra, T11."""
    return [published(f"panoptica_lumbar/{m}_{version}.nii.gz") for m in ("semantic", "instance")]
