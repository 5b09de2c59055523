"""Write the pins of the environment that runs this file: `make pins` after an upgrade.

`constraints.txt` gets every installed package with its version. Pins of packages that are not
installed stay: another Python or system may need them; strike them out by hand. `columna.yaml`,
the conda environment, gets the same pins. It holds them itself, because Snakemake copies the file
elsewhere and a relative `-c constraints.txt` in it would lead nowhere.
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
#   pip install -c envs/constraints.txt -e ".[dev]"
# Without these pins pip fetches gigabytes of other versions of torch before it settles.
# torch has no local suffix (+cpu, +cu130), so that each machine gets its own build of the same
# version; torch itself names the NVIDIA libraries of its CUDA build.
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
    return [
        f"{d.name}=={d.version.partition('+')[0]}"
        for d in distributions()
        if d.name.lower() not in NOT_PINNED and not PLATFORM_OWN.match(d.name)
    ]


def merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Pins of `old` and `new` in alphabetical order; `new` counts where both name a package."""
    pins = {canonical(pin): pin for pin in (*old, *new)}
    return [pins[name] for name in sorted(pins)]


def canonical(pin: str) -> str:
    """Name of the pinned package as pip compares it."""
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower()


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
    pins = merged(read_pins(HERE / "constraints.txt"), installed())
    (HERE / "constraints.txt").write_text(constraints_text(pins), encoding="utf-8")
    (HERE / "columna.yaml").write_text(conda_text(pins), encoding="utf-8")
