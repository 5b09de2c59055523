"""What the labels of a mask mean: columna's own numbers, or those of another program."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from columna.anatomy import (
    BODY,
    DISC_OFFSET,
    ENDPLATE_OFFSET,
    NAMELESS,
    RESOURCES,
    SACRUM,
    Semantic,
    levels,
)
from columna.errors import ColumnaError

Mask = NDArray[np.integer[Any]]

KINDS = ("vertebra", "body", "disc", "endplate")
"""What instances are matched of."""
LARGEST_LABEL = 65535


@dataclass(frozen=True)
class Convention:
    """Labels of a pair of masks.

    Parameters
    ----------
    name
        As a sheet names it.
    structures
        Structure of ``evaluation_structures.tsv`` -> labels of the semantic mask that draw it.
    instances
        Kind -> labels of the instance mask, each of which is one instance.
    levels
        Label of the instance mask -> level; what it lacks has no known level.
    cut
        Labels that say by themselves that a vertebra is not wholly visible.
    body_from_semantic
        Bodies are the vertebra instances within the body of the semantic mask.
    """

    name: str
    structures: Mapping[str, tuple[int, ...]]
    instances: Mapping[str, tuple[int, ...]]
    levels: Mapping[int, str] = field(default_factory=dict)
    cut: frozenset[int] = frozenset()
    body_from_semantic: bool = False

    def structure(self, semantic: Mask, name: str) -> NDArray[np.bool_]:
        """Voxels of the structure `name` in a semantic mask."""
        return _among(semantic, self.structures[name])

    def instance_mask(self, kind: str, semantic: Mask | None, instance: Mask) -> Mask | None:
        """`instance` with the labels of `kind` alone; None where the masks do not show them."""
        if kind == "body" and self.body_from_semantic:
            if semantic is None:
                return None
            kept = _among(semantic, (*BODY, Semantic.DENS))
            return np.where(kept & _among(instance, self.instances["vertebra"]), instance, 0)
        if kind not in self.instances:
            return None
        return np.where(_among(instance, self.instances[kind]), instance, 0)


def _among(mask: Mask, labels: Sequence[int]) -> NDArray[np.bool_]:
    """`np.isin` by a lookup, which takes a quarter of its time on large masks."""
    table = np.zeros(LARGEST_LABEL + 1, bool)
    table[list(labels)] = True
    return np.asarray(table[mask])


@cache
def structure_labels() -> dict[str, tuple[int, ...]]:
    """Structure that is evaluated -> labels of columna's semantic mask, in the table's order."""
    with open(RESOURCES / "evaluation_structures.tsv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {row["structure"]: tuple(map(int, row["labels"].split())) for row in rows}


@cache
def columna_convention() -> Convention:
    """The numbers that columna and SPINEPS write; vertebrae without a name have spare numbers."""
    named = tuple(label for label in levels() if label != SACRUM)
    names = {label: levels()[label].name for label in named}
    vertebrae = (*named, *NAMELESS)
    return Convention(
        name="columna",
        structures=structure_labels(),
        instances={
            "vertebra": vertebrae,
            "disc": tuple(DISC_OFFSET + label for label in vertebrae),
            "endplate": tuple(ENDPLATE_OFFSET + label for label in vertebrae),
        },
        levels={
            offset + label: name
            for label, name in names.items()
            for offset in (0, DISC_OFFSET, ENDPLATE_OFFSET)
        },
        body_from_semantic=True,
    )


def find_convention(name: str, own: Mapping[str, Any] | None = None) -> Convention:
    """Convention by its name.

    Parameters
    ----------
    name
        ``columna`` (or empty), one of ``conventions.yaml``, or one of `own`.
    own
        Conventions of the user's configuration, in the form of ``conventions.yaml``.

    Raises
    ------
    ColumnaError
        If there is none of that name, or it says something that cannot be.
    """
    if name in ("", "columna"):
        return columna_convention()
    known = {**_shipped(), **(own or {})}
    if name not in known:
        choice = ", ".join(["columna", *sorted(known)])
        raise ColumnaError(f"convention {name!r} is not known; known are {choice}")
    return _parsed(name, known[name])


def read_conventions(path: Path) -> dict[str, Any]:
    """Conventions of a YAML file, in the form of ``conventions.yaml``.

    Raises
    ------
    ColumnaError
        If the file cannot be read, or one of its conventions says something that cannot be.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ColumnaError(f"{path}: cannot be read as conventions: {error}") from error
    if not isinstance(content, dict):
        raise ColumnaError(f"{path}: names no conventions")
    for name in content:
        _parsed(str(name), content[name])
    return {str(name): rules for name, rules in content.items()}


@cache
def _shipped() -> dict[str, Any]:
    return yaml.safe_load((RESOURCES / "conventions.yaml").read_text(encoding="utf-8"))


def _parsed(name: str, content: Any) -> Convention:
    if not isinstance(content, dict):
        raise ColumnaError(f"convention {name}: must name structures, instances and levels")
    unknown = set(content) - {"structures", "instances", "levels", "cut"}
    structures = {k: _labels(name, v) for k, v in (content.get("structures") or {}).items()}
    instances = {k: _labels(name, v) for k, v in (content.get("instances") or {}).items()}
    unknown |= set(structures) - set(structure_labels()) | set(instances) - set(KINDS)
    names = {level.name for level in levels().values()}
    by_level = {k: _labels(name, v) for k, v in (content.get("levels") or {}).items()}
    unknown |= set(by_level) - names
    if unknown:
        raise ColumnaError(f"convention {name}: {', '.join(sorted(map(str, unknown)))}: not known")
    if not structures and not instances:
        raise ColumnaError(f"convention {name}: names neither structures nor instances")
    return Convention(
        name=name,
        structures=structures,
        instances=instances,
        levels={label: level for level, labels in by_level.items() for label in labels},
        cut=frozenset(_labels(name, content["cut"])) if "cut" in content else frozenset(),
    )


def _labels(name: str, text: Any) -> tuple[int, ...]:
    """Labels of ``1-3 7``, of a number, or of a list of either."""
    if isinstance(text, list):
        return tuple(label for item in text for label in _labels(name, item))
    found: list[int] = []
    for part in str(text).replace(",", " ").split():
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or "-" not in part)):
            raise ColumnaError(f"convention {name}: {part!r} is no label and no range of labels")
        low, high = int(first), int(last or first)
        if not 0 < low <= high <= LARGEST_LABEL:
            raise ColumnaError(f"convention {name}: {part!r} is no range of labels above 0")
        found += range(low, high + 1)
    return tuple(found)
