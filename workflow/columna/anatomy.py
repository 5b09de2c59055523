"""Label numbers, level names and their anatomical order.

``resources/labels.tsv`` is the one label table (numbers as SPINEPS writes them). The enumeration
below names the semantic labels that algorithms refer to; a test keeps both in step.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

RESOURCES = Path(__file__).parent / "resources"

DISC_OFFSET = 100
"""Instance label of the disc below vertebra X is ``DISC_OFFSET + X``."""
ENDPLATE_OFFSET = 200
"""Instance label of the endplates of the disc space below vertebra X is ``ENDPLATE_OFFSET + X``."""


class Semantic(IntEnum):
    """Semantic labels of SPINEPS (`labels.tsv`, mask ``semantic``)."""

    SACRUM = 26
    ARCUS = 41
    SPINOUS_PROCESS = 42
    COSTAL_PROCESS_LEFT = 43
    COSTAL_PROCESS_RIGHT = 44
    SUPERIOR_ARTICULAR_LEFT = 45
    SUPERIOR_ARTICULAR_RIGHT = 46
    INFERIOR_ARTICULAR_LEFT = 47
    INFERIOR_ARTICULAR_RIGHT = 48
    VERTEBRAL_BODY = 49
    VERTEBRAL_BODY_INNER = 50
    DENS = 51
    ENDPLATE_SUPERIOR = 52
    ENDPLATE_INFERIOR = 53
    SPINAL_CORD = 60
    SPINAL_CANAL = 61
    ENDPLATE = 62
    METAL = 80
    DISC = 100


ARTICULAR_PROCESSES = (
    Semantic.SUPERIOR_ARTICULAR_LEFT,
    Semantic.SUPERIOR_ARTICULAR_RIGHT,
    Semantic.INFERIOR_ARTICULAR_LEFT,
    Semantic.INFERIOR_ARTICULAR_RIGHT,
)
POSTERIOR_ELEMENTS = tuple(
    s for s in Semantic if Semantic.ARCUS <= s <= Semantic.INFERIOR_ARTICULAR_RIGHT
)
BODY = (Semantic.VERTEBRAL_BODY, Semantic.VERTEBRAL_BODY_INNER)
ENDPLATES = (Semantic.ENDPLATE, Semantic.ENDPLATE_SUPERIOR, Semantic.ENDPLATE_INFERIOR)
CANAL = (Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)

C2 = 2
T12 = 19
L1 = 20
L5 = 24
L6 = 25
SACRUM = 26
T13 = 28
NAMELESS = range(34, 80)
"""Numbers of instances without a level: those of levels and of metal (80) always mean the same."""
ABOVE_NAMELESS = NAMELESS.start - 1
"""What lies above the topmost instance, where that has no level."""


@dataclass(frozen=True)
class Label:
    """One row of ``labels.tsv``."""

    mask: str
    label: int
    name: str
    region: str | None
    level_order: int | None
    color: str


@dataclass(frozen=True)
class Level(Label):
    """A row whose label names a level of the spine."""

    level_order: int


@cache
def label_table() -> tuple[Label, ...]:
    """All rows of ``labels.tsv``, in file order."""
    with open(RESOURCES / "labels.tsv", newline="", encoding="utf-8") as stream:
        return tuple(
            Label(
                mask=row["mask"],
                label=int(row["label"]),
                name=row["name"],
                region=row["region"] or None,
                level_order=int(row["level_order"]) if row["level_order"] else None,
                color=row["color"],
            )
            for row in csv.DictReader(stream, delimiter="\t")
        )


@cache
def levels() -> dict[int, Level]:
    """Instance label -> level, in anatomical order (T13 between T12 and L1, S1 last)."""
    rows = [
        Level(r.mask, r.label, r.name, r.region, r.level_order, r.color)
        for r in label_table()
        if r.level_order is not None
    ]
    return {r.label: r for r in sorted(rows, key=lambda r: r.level_order)}


@cache
def vertebra_labels() -> tuple[int, ...]:
    """Instance labels of the presacral vertebrae C1 to L6, in anatomical order."""
    return tuple(label for label in levels() if label != SACRUM)


def level_order(label: int) -> int:
    """Anatomical rank of an instance label (C1 = 1, T12 = 19, T13 = 20, L1 = 21, S1 = 27)."""
    return levels()[label].level_order


def anatomical_order(labels: Iterable[int]) -> list[int]:
    """Sort instance labels (1 to 28) from cranial to caudal."""
    return sorted(labels, key=level_order)


@cache
def semantic_names() -> dict[int, str]:
    """Semantic label -> structure name."""
    return {r.label: r.name for r in label_table() if r.mask == "semantic"}
