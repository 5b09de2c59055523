"""Classes of the semantic network and the labels that they stand for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from columna.anatomy import POSTERIOR_ELEMENTS, Semantic, semantic_names

LABELS = (
    *range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY + 1),
    Semantic.SPINAL_CORD,
    Semantic.SPINAL_CANAL,
    Semantic.ENDPLATE,
    Semantic.DISC,
    Semantic.SACRUM,
)
"""Semantic label of the network's classes 1 to 14."""
CLASS_OF = np.zeros(256, np.uint8)
"""Lookup from semantic label to the network's class."""
CLASS_OF[list(LABELS)] = np.arange(1, len(LABELS) + 1)
LABEL_OF = np.array([0, *LABELS], np.uint8)
"""Lookup from the network's class to semantic label."""

ClassSet = frozenset[int]


@dataclass(frozen=True)
class Classes:
    """What a phase-1 network tells apart.

    Parameters
    ----------
    name
        As ``semantic.classes`` of the recipe says it.
    structures
        Names of the classes 1, 2 ...
    members
        Semantic labels that each of them merges; all others are background.
    """

    name: str
    structures: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """Outputs of the network, the background among them."""
        return len(self.members) + 1

    @cached_property
    def class_of(self) -> np.ndarray:
        """Lookup from semantic label to class: uint8, shape (256,)."""
        lookup = np.zeros(256, np.uint8)
        for number, labels in enumerate(self.members, 1):
            lookup[list(labels)] = number
        return lookup

    def of_structures(self, names: Iterable[str]) -> ClassSet:
        """Classes of structures by their names in ``resources/labels.tsv``."""
        label_of = {name: label for label, name in semantic_names().items()}
        return frozenset(int(self.class_of[label_of[name]]) for name in names)

    def dataset_json(self, count: int) -> dict[str, Any]:
        """nnU-Net's ``dataset.json`` for `count` scans with these classes."""
        named = [f"l{label}" for label in LABELS] if self == ALL else self.structures
        return {
            "channel_names": {"0": "MR"},
            "labels": {"background": 0} | {name: n for n, name in enumerate(named, 1)},
            "file_ending": ".nii.gz",
            "numTraining": count,
        }


ALL = Classes(
    "structures",
    tuple(Semantic(label).name.lower() for label in LABELS),
    tuple((int(label),) for label in LABELS),
)
"""The structures of the method, each a class."""
ONE_PHASE = Classes(
    "vertebra_disc_canal",
    ("vertebra", "disc", "canal_with_cord"),
    (
        (*map(int, POSTERIOR_ELEMENTS), int(Semantic.VERTEBRAL_BODY)),
        (int(Semantic.DISC),),
        (int(Semantic.SPINAL_CORD), int(Semantic.SPINAL_CANAL)),
    ),
)
"""What a network without a second phase predicts (docs/baseline.md); as SPIDER's masks, without
endplates and sacrum."""
CLASSES = {classes.name: classes for classes in (ALL, ONE_PHASE)}
