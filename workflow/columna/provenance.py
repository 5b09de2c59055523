"""Which columna made a result."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from columna import __version__


@cache
def git_commit() -> str | None:
    """Commit of the checkout that columna runs from, or None for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # an installed package may lie within a checkout of something else
        _answer([*git, "ls-files", "--error-unmatch", Path(__file__).name])
        return _answer([*git, "rev-parse", "HEAD"])
    except (OSError, subprocess.CalledProcessError):
        return None


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def container_digest() -> str | None:
    """Digest of the container image, which only those who start the container can tell."""
    return os.environ.get("COLUMNA_CONTAINER_DIGEST") or None


def generated_by() -> dict[str, Any]:
    """The ``GeneratedBy`` entry of BIDS derivatives; the container is in it where it is known."""
    container = _container()
    return {
        "Name": "columna",
        "Version": __version__,
        "Description": "SPINEPS method: semantic nnU-Net, instance U-Net, relabelling",
    } | ({"Container": container} if container else {})


def _container() -> dict[str, str]:
    """Kind and digest of the container; {} outside of one."""
    digest = container_digest()
    images = (os.environ.get(name) for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"))
    kind = "apptainer" if any(images) else "docker" if digest else None
    known = {"Type": kind, "Tag": digest}
    return {key: value for key, value in known.items() if value}
