"""Levels that the cohort sheet gives for a scan: what a reader knows, and the model obeys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from columna.label.model import Likelihoods
from columna.results.given_levels import COUNTED, LEVEL_COLUMNS, level_numbers

CERTAIN = -500.0
"""Log likelihood of what the sheet rules out."""


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
        """Rule out all that contradicts the sheet.

        Parameters
        ----------
        seen
            Likelihoods without the sheet.
        is_true
            Which bodies are vertebrae without it, shape (n,): the sheet counts those.
        """
        bodies, level, false = np.flatnonzero(is_true), seen.level.copy(), seen.false.copy()
        for place, name in self._places(len(bodies)):
            if not 0 <= place < len(bodies):
                level[:] = -np.inf  # there is no such vertebra
                continue
            body = bodies[place]
            is_other = seen.spines.label != level_numbers()[name]
            level[body] = np.where(is_other[:, None], -np.inf, level[body])
            false[body] = CERTAIN
        return replace(seen, level=level, false=false)

    def _places(self, count: int) -> Iterator[tuple[int, str]]:
        """Vertebra, counted from 0 at the top, and its level."""
        if self.highest_level:
            yield 0, self.highest_level
        if self.lowest_level:
            yield count - 1, self.lowest_level
        if counted := COUNTED.fullmatch(self.anchor or ""):
            yield int(counted[1]) - 1, counted[2]
