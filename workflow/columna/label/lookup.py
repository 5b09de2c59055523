"""Label tables of the delivered masks, as BIDS asks for (``_dseg.tsv``).

https://bids-specification.readthedocs.io/en/stable/derivatives/imaging.html, "Common image-derived
labels".
"""

from collections.abc import Iterable

import numpy as np

from columna.anatomy import (
    DISC_OFFSET,
    ENDPLATE_OFFSET,
    SACRUM,
    Label,
    Semantic,
    label_table,
    levels,
)
from columna.label.result import LabelResult

HEAD = ("index", "name", "color")
NO_VALUE = "n/a"
_KINDS = {0: "", DISC_OFFSET: "disc below ", ENDPLATE_OFFSET: "endplates below "}


def structures_table() -> str:
    """Label table of the masks of structures; the same for all scans."""
    rows = _labels("semantic").values()
    return _text((row.label, row.name, row.color) for row in rows)


def vertebrae_table(result: LabelResult) -> str:
    """Label table of one mask of vertebrae, discs and endplates.

    Numbers stand for levels only where the scan shows what levels are counted from, so the names
    are those of this scan, and of the table ``vertebrae``: ``unnamed_01`` is the topmost vertebra
    of a scan without them.
    """
    counts = np.bincount(result.instance.array.ravel())
    names, colors = _names(result), _labels("instance")
    rows = []
    for label in (np.flatnonzero(counts[1:]) + 1).tolist():
        kind = label // DISC_OFFSET * DISC_OFFSET
        level = label - kind
        name = _KINDS.get(kind, "unknown ") + names.get(level, f"unknown {level}")
        color = colors[level].color if level in colors else NO_VALUE
        rows.append((label, name, color))
    return _text(rows)


def _names(result: LabelResult) -> dict[int, str]:
    """Names of the numbers of vertebrae, and of the sacrum and metal."""
    names = {SACRUM: levels()[SACRUM].name, int(Semantic.METAL): "metal"}
    if any(entry["level"] for entry in result.levels):
        # what lies above the topmost vertebra is called by a level that is not seen
        names |= {label: level.name for label, level in levels().items()}
    vertebrae = [entry for entry in result.levels if not entry.get("is_fragment")]
    for place, entry in enumerate(vertebrae, start=1):
        names[entry["label"]] = entry["level"] or f"unnamed_{place:02d}"
    fragments = [entry for entry in result.levels if entry.get("is_fragment")]
    for number, entry in enumerate(fragments, start=1):
        names[entry["label"]] = f"fragment_{number:02d}"
    return names


def _labels(mask: str) -> dict[int, Label]:
    return {row.label: row for row in label_table() if row.mask == mask}


def _text(rows: Iterable[tuple[int, str, str]]) -> str:
    lines = (HEAD, *rows)
    return "".join("\t".join(str(value) for value in line) + "\n" for line in lines)
