"""What the label stage delivers."""

from dataclasses import dataclass
from typing import Any

from columna.images.volume import Volume


@dataclass(frozen=True, eq=False)
class LabelResult:
    """Final masks in the grid of the input scan, and the names of the vertebrae.

    Parameters
    ----------
    semantic, instance
        Masks in the smallest unsigned type, numbers as SPINEPS writes them.
    levels
        One entry per vertebra instance from top to bottom: ``label`` (number in `instance`),
        ``level`` (name or None), ``level_anchor`` (what it rests on), ``level_confidence`` (its
        probability), ``posterior`` (probability of every name), ``index`` (1 = topmost),
        ``is_fragment`` (a piece of bone that is no vertebra of its own).
    naming
        Method, status, anchors, and the probabilities of unusual spines.
    """

    semantic: Volume
    instance: Volume
    levels: list[dict[str, Any]]
    naming: dict[str, Any]
