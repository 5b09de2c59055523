"""Write the pins of the environment that runs this file: `make pins` after an upgrade.

`constraints.txt` gets every installed package with its version; `columna.yaml`, the conda
environment, gets the same pins. It holds them itself, because Snakemake copies the file elsewhere
and a relative `-c constraints.txt` in it would lead nowhere.
"""

import re
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).parent
NOT_PINNED = {"columna", "pip"}
PLATFORM_OWN = re.compile(r"nvidia-|cuda-|triton$")

CONSTRAINTS_HEADER = """\
# Every package of a working columna, with its version. Written by `make pins`; used as
#   pip install -c envs/constraints.txt -e ".[workflow,dev]"
# Without these pins pip fetches gigabytes of other versions of torch before it settles.
# torch has no local suffix (+cpu, +cu130), so that each machine gets its own build of the same
# version; the NVIDIA libraries of the CUDA build are pinned by torch itself.
"""

CONDA_HEADER = """\
# The pins of constraints.txt as a conda environment, for `snakemake --sdm conda`. Written by
# `make pins`. columna itself is added by columna.post-deploy.sh.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python =3.11
  - pip
  - pip:
"""


def installed() -> list[str]:
    """Pins (`name==version`) of this environment, without what belongs to one machine."""
    pins = {d.name: d.version.partition("+")[0] for d in distributions()}
    return [
        f"{name}=={version}"
        for name, version in sorted(pins.items(), key=lambda pin: pin[0].lower())
        if name.lower() not in NOT_PINNED and not PLATFORM_OWN.match(name)
    ]


def constraints_text(pins: Iterable[str]) -> str:
    """Text of `constraints.txt`."""
    return CONSTRAINTS_HEADER + "".join(f"{pin}\n" for pin in pins)


def conda_text(pins: Iterable[str]) -> str:
    """Text of `columna.yaml`."""
    return CONDA_HEADER + "".join(f"    - {pin}\n" for pin in pins)


def read_pins(constraints: Path) -> list[str]:
    """Pins in a constraints file, without its comments."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    pins = installed()
    (HERE / "constraints.txt").write_text(constraints_text(pins), encoding="utf-8")
    (HERE / "columna.yaml").write_text(conda_text(pins), encoding="utf-8")
