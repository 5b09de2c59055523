"""The released package in its own environment: run it on a scan, read what it answers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from columna.files import sha256_file, sha256_json
from columna.images.volume import Volume, load_image, load_volume

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


SUFFIXES = {
    "spine-raw": "seg-spine-raw_msk.nii.gz",
    "vert-raw": "seg-vert-raw_msk.nii.gz",
    "spine": "seg-spine_msk.nii.gz",
    "vert": "seg-vert_msk.nii.gz",
}


@dataclass(frozen=True)
class StoredAnswer:
    """What the package left once, under its own file names."""

    folder: Path

    def path(self, name: str) -> Path:
        [file] = self.folder.glob(f"*_{SUFFIXES[name]}")
        return file

    def mask(self, name: str) -> Volume:
        """One of spine, vert, spine-raw, vert-raw."""
        return load_volume(self.path(name))


def stored_answer(kind: str, scan: str) -> StoredAnswer:
    """`kind`: truthsem (noisy truth instead of the semantic network) or trained (both networks)."""
    return StoredAnswer(peer_folder() / "refs" / kind / scan)


def stored_scan(scan: str) -> Path:
    return peer_folder() / "rawdata" / f"sub-{scan}" / f"sub-{scan}_acq-sag_T2w.nii.gz"


def run_package(name: str, scan: Path, again: bool = False, **options: Any) -> Answer:
    """Run the package on `scan`, unless an earlier call on the same input has done so.

    Parameters
    ----------
    name
        Folder of the answer below ``build/peer``.
    options
        Keys of the job (`package.py`).
    """
    script = Path(__file__).with_name("package.py")
    return run([PYTHON, script], f"package/{name}", scan, again, options)


def run_columna(name: str, scan: Path, again: bool = False, **options: Any) -> Answer:
    """Run columna on `scan` in a process of its own (`ours.py`).

    Answers are kept, too, but never when the code of columna has changed.
    """
    script = Path(__file__).with_name("ours.py")
    options = options | {"code": code_sha256()}
    return run([sys.executable, script], f"columna/{name}", scan, again, options)


def run(command: list[Any], name: str, scan: Path, again: bool, options: dict[str, Any]) -> Answer:
    folder = BUILD / name
    models = peer_folder() / "models"
    job = {
        "scan": str(scan),
        "semantic_model": str(models / "T2w_semantic"),
        "instance_model": str(models / "instance_sagittal"),
        "threads": THREADS,
        "out": str(folder),
    } | options
    inputs = [scan, *(Path(options[key]) for key in ("answer", "corrected") if key in options)]
    text = json.dumps(job | {"inputs": [sha256_file(file) for file in inputs]}, indent=1)
    file = folder.with_name(f"{folder.name}.json")
    known = file.exists() and file.read_text() == text and (folder / "result.json").exists()
    if known and not again:
        return Answer(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    with open(file.with_suffix(".log"), "w") as log:
        subprocess.run([*command, file], stdout=log, stderr=log, check=True)
    return Answer(folder)


def code_sha256() -> str:
    """Digest of columna's library."""
    files = sorted((ROOT / "workflow" / "columna").rglob("*.py"))
    return sha256_json([sha256_file(file) for file in files])
