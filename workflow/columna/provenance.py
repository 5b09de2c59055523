"""Which columna made a result."""

import os
import subprocess
from functools import cache
from pathlib import Path

from columna import __version__


@cache
def git_commit() -> str | None:
    """Commit of the checkout that columna runs from, or None for an installed package."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def container_digest() -> str | None:
    """Digest of the container image, which only those who start the container can tell."""
    return os.environ.get("COLUMNA_CONTAINER_DIGEST") or None


def generated_by() -> dict[str, str]:
    """The ``GeneratedBy`` entry of BIDS derivatives."""
    return {
        "Name": "columna",
        "Version": __version__,
        "Description": "SPINEPS method: semantic nnU-Net, instance U-Net, relabelling",
    }
