"""The pool of label maps on disk, which a process fills while others draw from it."""

import logging
from pathlib import Path

import numpy as np

from columna.real_data import VARIABLE
from columna.train.samples.maps import LabelMap, open_map, phantom_map, save_map
from columna.train.samples.real_maps import available, real_map

REAL_SHARE = 0.15
"""Share of the samples that come from real label maps, where the pool holds any."""
REAL_VERSIONS = 6
"""Versions of every real map: other surroundings, other tissues."""

_log = logging.getLogger(__name__)


def fill(
    folder: Path, maps: int, *, data: Path | None = None, exclude: tuple[str, ...] = ()
) -> None:
    """Add maps to `folder` until it holds `maps` phantoms and the real ones of `data`.

    Parameters
    ----------
    folder
        The pool.
    maps
        Number of phantoms.
    data
        Folder of real data (`columna.real_data`); None for phantoms alone.
    exclude
        Real maps that are not made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in available(data) if name not in exclude]
    if not names:
        _log.warning(
            "The pool gets phantoms alone: %s names no folder with masks of real scans "
            "(docs/training-data.md).",
            VARIABLE,
        )
    for name in names:
        for version in range(REAL_VERSIONS):
            stem = folder / f"real-{name}-{version}"
            if data is not None and not stem.with_suffix(".npy").exists():
                save_map(real_map(name, version, data), stem)
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
