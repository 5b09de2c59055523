"""Levels that the cohort sheet gives for a scan: what a reader knows, and the model obeys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.label.model import Likelihoods

COLUMNS = ("lowest_level", "highest_level", "anchor")
"""Columns of the cohort sheet, and fields of `Anchor`."""
_COUNTED = re.compile(r"([1-9][0-9]?)=(\S+)")


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

        Raises
        ------
        ValueError
            If a value is no level, or no ``<number>=<level>``.
        """
        known = {name: values[name] for name in COLUMNS if values.get(name)}
        if not known:
            return None
        for name, text in known.items():
            counted = _COUNTED.fullmatch(text) if name == "anchor" else None
            level = counted[2] if counted else text
            if (name == "anchor") != bool(counted) or level not in _numbers():
                wanted = "such as 3=T12" if name == "anchor" else "such as L5"
                raise ValueError(
                    f"{name} is {text!r}; it must be a level from C1 to L6 {wanted}"
                    if name != "anchor"
                    else f"anchor is {text!r}; it must be a number and a level, {wanted}"
                )
        return cls(**known)

    def __str__(self) -> str:
        """Tell it to a person."""
        return ", ".join(f"{name} {getattr(self, name)}" for name in COLUMNS if getattr(self, name))

    def constrained(self, seen: Likelihoods, is_true: np.ndarray) -> Likelihoods:
        """Rule out all that contradicts the sheet; `is_true` says which bodies are vertebrae."""
        level, start, end = seen.level.copy(), seen.start.copy(), seen.end.copy()
        spines = seen.spines
        if self.highest_level:
            other = spines.label != _numbers()[self.highest_level]
            start = np.where(other[None, :, None], -np.inf, start)
        if self.lowest_level:
            lowest = _numbers()[self.lowest_level]
            ends = np.take_along_axis(spines.label, spines.last[:, None], axis=1) == lowest
            allowed = (spines.label == lowest) | ((spines.label == SACRUM) & ends)
            end = np.where(allowed[None, :, None], end, -np.inf)
        if self.anchor:
            number, name = _COUNTED.fullmatch(self.anchor).groups()
            bodies = np.flatnonzero(is_true)
            if int(number) > len(bodies):
                level[:] = -np.inf
            else:
                other = spines.label != _numbers()[name]
                body = bodies[int(number) - 1]
                level[body] = np.where(other[:, None], -np.inf, level[body])
        return replace(seen, level=level, start=start, end=end)


def _numbers() -> dict[str, int]:
    return {level.name: label for label, level in levels().items() if label != SACRUM}
