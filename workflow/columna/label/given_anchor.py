"""Levels that the cohort sheet gives for a scan: what a reader knows, and the model obeys."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from columna.anatomy import SACRUM
from columna.label.model import Likelihoods
from columna.results.given_levels import COUNTED, LEVEL_COLUMNS, level_numbers


@dataclass(frozen=True)
class Anchor:
    """What the cohort sheet says.

    Parameters
    ----------
    lowest_level, highest_level
        Level of the lowest and the topmost vertebra found, for example ``L5``.
    anchor
        ``<number>=<level>``: the level of the vertebra of this number, counted from the topmost
        one found, as ``index_from_top`` in the table `vertebrae` counts (``3=T12``).
    """

    lowest_level: str | None = None
    highest_level: str | None = None
    anchor: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, str | None]) -> "Anchor | None":
        """The anchor in a row of the sheet; None where it says nothing.

        Its values were checked by `columna.results.given_levels.problem_of`.
        """
        known = {name: values[name] for name in LEVEL_COLUMNS if values.get(name)}
        return cls(**known) if known else None

    def __str__(self) -> str:
        """Tell it to a person."""
        known = {name: getattr(self, name) for name in LEVEL_COLUMNS if getattr(self, name)}
        return ", ".join(f"{name} {value}" for name, value in known.items())

    def constrained(self, seen: Likelihoods, is_true: np.ndarray) -> Likelihoods:
        """Rule out all that contradicts the sheet; `is_true` says which bodies are vertebrae."""
        level, start, end = seen.level.copy(), seen.start.copy(), seen.end.copy()
        spines = seen.spines
        if self.highest_level:
            other = spines.label != level_numbers()[self.highest_level]
            start = np.where(other[None, :, None], -np.inf, start)
        if self.lowest_level:
            lowest = level_numbers()[self.lowest_level]
            ends = np.take_along_axis(spines.label, spines.last[:, None], axis=1) == lowest
            allowed = (spines.label == lowest) | ((spines.label == SACRUM) & ends)
            end = np.where(allowed[None, :, None], end, -np.inf)
        if self.anchor:
            number, name = COUNTED.fullmatch(self.anchor).groups()
            bodies = np.flatnonzero(is_true)
            if int(number) > len(bodies):
                level[:] = -np.inf
            else:
                other = spines.label != level_numbers()[name]
                body = bodies[int(number) - 1]
                level[body] = np.where(other[:, None], -np.inf, level[body])
        return replace(seen, level=level, start=start, end=end)
