"""The released package in its own environment: run it on a scan, read what it answers."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from columna.volume import Volume, load_image, load_volume

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-peer" / "bin" / "python"
BUILD = ROOT / "build" / "peer"
THREADS = 2


def peer_folder() -> Path:
    """Stand-in models, scans and stored answers of the package."""
    return Path(os.environ["COLUMNA_PEER"])


def can_run() -> bool:
    return "COLUMNA_PEER" in os.environ and PYTHON.exists()


@dataclass(frozen=True)
class Answer:
    """What the package left in `folder`."""

    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.folder / "result.json").read_text())

    @property
    def header_and_points(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "points.json").read_text())

    def mask(self, name: str) -> Volume:
        """One of spine, vert, spine-raw, vert-raw, answer."""
        return load_volume(self.folder / f"{name}.nii.gz")

    def image(self, name: str) -> Volume:
        """One of corrected, prepared, network-input."""
        return load_image(self.folder / f"{name}.nii.gz")


def run_package(name: str, scan: Path, again: bool = False, **options: Any) -> Answer:
    """Run the package on `scan`, unless an earlier call with the same options has done so.

    Parameters
    ----------
    name
        Folder of the answer below ``build/peer``.
    options
        Keys of the job (`package.py`).
    """
    folder = BUILD / name
    models = peer_folder() / "models"
    job = {
        "scan": str(scan),
        "semantic_model": str(models / "T2w_semantic"),
        "instance_model": str(models / "instance_sagittal"),
        "threads": THREADS,
        "out": str(folder),
    } | options
    file = BUILD / f"{name}.json"
    text = json.dumps(job, indent=1)
    if not again and (folder / "result.json").exists() and file.read_text() == text:
        return Answer(folder)
    BUILD.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    with open(BUILD / f"{name}.log", "w") as log:
        script = Path(__file__).with_name("package.py")
        subprocess.run([PYTHON, script, file], stdout=log, stderr=log, check=True)
    return Answer(folder)
