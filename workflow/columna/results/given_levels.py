"""Levels that a cohort sheet gives for a scan: columns, and what may stand in them.

Light on purpose: `columna.cohort.manifest` imports it.
"""

import re
from collections.abc import Mapping

from columna.anatomy import SACRUM, levels

LEVEL_COLUMNS = ("lowest_level", "highest_level", "anchor")
"""Level of the lowest and of the topmost vertebra found; level of the n-th one from the top."""
COUNTED = re.compile(r"([1-9][0-9]?)=(\S+)")
"""An anchor: ``3=T12`` says that the third vertebra from the top is T12."""


def level_numbers() -> dict[str, int]:
    """Name -> instance label of all levels above the sacrum."""
    return {level.name: label for label, level in levels().items() if label != SACRUM}


def problem_of(values: Mapping[str, str | None]) -> str | None:
    """What is wrong with the given levels of a row, or None."""
    for column in LEVEL_COLUMNS:
        text = values.get(column)
        if not text:
            continue
        counted = COUNTED.fullmatch(text)
        if column == "anchor" and not counted:
            return f"The anchor is {text!r}; it must be a number and a level, such as 3=T12."
        level = counted[2] if counted and column == "anchor" else text
        if level not in level_numbers():
            return f"The {column} names {level!r}; a level is one of C1 to C7, T1 to T13, L1 to L6."
    return None
