"""The pool of label maps on disk, which a process fills while others draw from it.

``python -m columna.train.samples.pool FOLDER --maps 300``
"""

import argparse
from pathlib import Path

import numpy as np

from columna.train.samples.maps import LabelMap, open_map, phantom_map, save_map
from columna.train.samples.real_maps import REAL_MAPS, real_map

REAL_SHARE = 0.15
"""Share of the samples that come from real label maps, where the pool holds any."""
REAL_VERSIONS = 6
"""Versions of every real map: other surroundings, other tissues."""


def fill(folder: Path, maps: int, *, exclude: tuple[str, ...] = ()) -> None:
    """Add maps to `folder` until it holds `maps` phantoms and all real ones but `exclude`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in REAL_MAPS:
        for version in range(REAL_VERSIONS):
            stem = folder / f"real-{name}-{version}"
            if name not in exclude and not stem.with_suffix(".npy").exists():
                save_map(real_map(name, version), stem)
    for seed in range(1, maps + 1):
        stem = folder / f"phantom-{seed:05d}"
        if not stem.with_suffix(".npy").exists():
            save_map(phantom_map(seed), stem)


class Pool:
    """Maps to draw from: those of a folder, as many as there are by now."""

    def __init__(self, folder: Path, *, exclude: tuple[str, ...] = ()) -> None:
        self._folder, self._exclude = folder, exclude
        self._open: dict[Path, LabelMap] = {}

    def draw(self, rng: np.random.Generator) -> LabelMap:
        """Draw a map."""
        real = [p for p in self._stems("real") if _case(p) not in self._exclude]
        phantoms = self._stems("phantom")
        stems = real if real and rng.random() < REAL_SHARE else phantoms
        stem = stems[int(rng.integers(len(stems)))]
        if stem not in self._open:
            self._open[stem] = open_map(stem)
        return self._open[stem]

    def _stems(self, kind: str) -> list[Path]:
        return [p.with_suffix("") for p in sorted(self._folder.glob(f"{kind}-*.npy"))]


def _case(stem: Path) -> str:
    return stem.name.removeprefix("real-").rpartition("-")[0]


def main(arguments: list[str] | None = None) -> None:
    """Fill a pool."""
    parser = argparse.ArgumentParser(
        prog="python -m columna.train.samples.pool", description=__doc__
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--maps", type=int, default=300, help="phantoms to hold")
    parser.add_argument("--exclude", nargs="*", default=(), choices=REAL_MAPS)
    options = parser.parse_args(arguments)
    fill(options.folder, options.maps, exclude=tuple(options.exclude))


if __name__ == "__main__":
    main()
