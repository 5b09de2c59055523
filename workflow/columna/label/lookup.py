"""Label tables of the delivered masks, as BIDS asks for (``_dseg.tsv``).

https://bids-specification.readthedocs.io/en/stable/derivatives/imaging.html, "Common image-derived
labels". Both hold for all scans, so that they stand in the derivatives folder once.
"""

from collections.abc import Iterable, Iterator

from columna.anatomy import (
    ABOVE_NAMELESS,
    DISC_OFFSET,
    ENDPLATE_OFFSET,
    NAMELESS,
    SACRUM,
    Semantic,
    label_table,
)

HEAD = ("index", "name", "color")
NO_VALUE = "n/a"
_SPACES = {DISC_OFFSET: "disc", ENDPLATE_OFFSET: "endplates"}


def structures_table() -> str:
    """Label table of the masks of structures."""
    return _text((label, name, color) for label, (name, color) in _known("semantic").items())


def vertebrae_table() -> str:
    """Label table of the masks of vertebrae, discs and endplates.

    The number of a level stands for that level in every scan. Instances without a level have
    numbers of their own, from top to bottom; the table ``vertebrae`` says more of them.
    """
    return _text(_vertebrae())


def _vertebrae() -> Iterator[tuple[int, str, str]]:
    nameless = range(ABOVE_NAMELESS, NAMELESS.stop)
    known = {n: (f"no level ({n})", NO_VALUE) for n in nameless} | _known("instance")
    for label, (name, color) in sorted(known.items()):
        yield label, name, color
    for offset, kind in _SPACES.items():
        for label, (name, color) in sorted(known.items()):
            if label not in (SACRUM, Semantic.METAL):
                yield offset + label, f"{kind} below {name}", color


def _known(mask: str) -> dict[int, tuple[str, str]]:
    return {row.label: (row.name, row.color) for row in label_table() if row.mask == mask}


def _text(rows: Iterable[tuple[int, str, str]]) -> str:
    return "".join("\t".join(str(value) for value in line) + "\n" for line in (HEAD, *rows))
