"""What a mask says of a voxel: the classes that it may have.

A mask of every structure names one class per voxel. A mask of vertebrae, discs and canal alone
names a set: a voxel of a vertebra is arch, process or body; one outside may still be sacrum. Masks
of all kinds are stored as codes (uint8). Codes up to the number of classes are the classes
themselves, the ones after them stand for sets, and any other code allows every class, so that its
voxels teach nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from columna.train.labels import ALL, Classes, ClassSet
from columna.train.recipe import DatasetSettings
from columna.train.samples.placing import PAIRS

ANY = 255
"""Code of a voxel that may have any class."""


@dataclass(frozen=True)
class LabelSets:
    """Meaning of the codes.

    Parameters
    ----------
    sets
        The classes that each code allows; codes beyond allow every class.
    classes
        What the network tells apart.
    """

    sets: tuple[ClassSet, ...]
    classes: Classes = ALL

    def table(self) -> np.ndarray:
        """Which classes a code allows: bool, shape (256, classes)."""
        allowed = np.ones((256, self.classes.count), bool)
        for code, members in enumerate(self.sets):
            allowed[code] = np.isin(np.arange(self.classes.count), list(members))
        return allowed

    def code_of(self, members: ClassSet) -> int:
        """Code of a set of classes."""
        return self.sets.index(members)

    def names(self) -> dict[int, str]:
        """Names of the codes that stand for structures, not for background."""
        called = ["background", *self.classes.structures]
        names = {}
        for code, members in enumerate(self.sets):
            first, *others = (called[n] for n in sorted(members))
            if 0 not in members:
                names[code] = (
                    f"{first} and {len(others)} more"
                    if len(others) > 1
                    else " or ".join([first, *others])
                )
        return names

    def mirrored(self) -> np.ndarray:
        """Lookup, shape (256,), from a code to that of the same voxel in a mirrored patient."""
        lookup = np.arange(256, dtype=np.uint8)
        for code, members in enumerate(self.sets):
            lookup[code] = self.code_of(_other_side(members, self.classes))
        return lookup


def label_sets(datasets: Mapping[str, DatasetSettings], classes: Classes = ALL) -> LabelSets:
    """Codes of a recipe's datasets; they depend on what the datasets say, not on their order."""
    singles = [frozenset({n}) for n in range(classes.count)]
    wanted: set[ClassSet] = set()
    for settings in datasets.values():
        for members in meanings(settings, classes).values():
            wanted |= {members, _other_side(members, classes)}
    return LabelSets((*singles, *sorted(wanted - set(singles), key=sorted)), classes)


def meanings(settings: DatasetSettings, classes: Classes = ALL) -> dict[int, ClassSet]:
    """Number in the masks of a dataset -> classes that it may stand for; 0 is the background."""
    if settings.labels is None:
        return {}
    inside = {number: classes.of_structures(names) for number, names in settings.labels.items()}
    return inside | {0: classes.of_structures(settings.background) | {0}}


def coded(
    mask: np.ndarray, settings: DatasetSettings, sets: LabelSets, spacing_mm: np.ndarray
) -> np.ndarray:
    """Codes of a partly labelled mask.

    Parameters
    ----------
    mask
        Numbers as the dataset writes them.
    settings
        What they mean, and how wide the seams are: background near two structures is ``ANY``.
    sets
        Codes of the recipe.
    spacing_mm
        Voxel size along the axes of `mask`.

    Returns
    -------
    ndarray
        uint8 codes; a number that `settings` do not name is ``ANY``.
    """
    lookup = np.full(int(mask.max(initial=0)) + 1, ANY, np.uint8)
    for number, members in meanings(settings, sets.classes).items():
        if number < len(lookup):
            lookup[number] = sets.code_of(members)
    codes = lookup[mask]
    if settings.seam_mm:
        codes[(mask == 0) & (_structures_nearby(mask, settings, spacing_mm) > 1)] = ANY
    return codes


def _structures_nearby(
    mask: np.ndarray, settings: DatasetSettings, spacing_mm: np.ndarray
) -> np.ndarray:
    """How many structures lie within the width of a seam, at every voxel."""
    near = np.zeros(mask.shape, np.uint8)
    for number in settings.labels or {}:
        distance = ndimage.distance_transform_edt(mask != number, sampling=spacing_mm)
        near += distance <= settings.seam_mm
    return near


def _other_side(members: ClassSet, classes: Classes) -> ClassSet:
    swap: dict[int, int] = {}
    for left, right in PAIRS:
        a, b = int(classes.class_of[left]), int(classes.class_of[right])
        swap |= {a: b, b: a}
    return frozenset(swap.get(n, n) for n in members)
