"""Phase-2 subjects: the masks of a deformed label map in a field of view."""

from collections.abc import Mapping

import numpy as np

from columna.anatomy import BODY, Semantic
from columna.images.triple import Triple, three
from columna.train.samples.deform import Steps, add_elastic, look_up
from columna.train.samples.maps import LabelMap
from columna.train.samples.placing import place, swapped
from columna.train.samples.subject import SubjectMasks

CENTRED_ON: Mapping[int, float] = dict.fromkeys((*BODY, Semantic.DENS), 1.0)
"""Fields of view lie around a body."""


def map_masks(label_map: LabelMap, spacing_mm: Triple, rng: np.random.Generator) -> SubjectMasks:
    """Deform a label map, and cut a random field of view out of it.

    Parameters
    ----------
    label_map
        The body to show.
    spacing_mm
        Voxel size of the masks along P, I, R.
    """
    pose, mirrored = place(label_map, CENTRED_ON, rng, usual=0.0)
    coordinates = pose.at(steps := _random_steps(spacing_mm, rng))
    codes = look_up(label_map.codes, add_elastic(coordinates, steps, rng), label_map.spacing_mm)
    semantic, instance = (label_map.palette[:, column][codes] for column in (1, 2))
    # beyond the map its border would go on for ever
    for at, n, step in zip(coordinates, label_map.codes.shape, label_map.spacing_mm, strict=True):
        outside = (at < 0) | (at > (n - 1) * step)
        semantic[outside] = instance[outside] = 0
    return SubjectMasks(swapped(semantic) if mirrored else semantic, instance)


def _random_steps(spacing_mm: Triple, rng: np.random.Generator) -> Steps:
    """Positions of a scan's voxels (mm); the origin lies well within them."""
    size = np.array([rng.uniform(110, 220), rng.uniform(110, 420), rng.uniform(36, 90)])
    if rng.random() < 0.12:  # a crop
        size = np.array([rng.uniform(60, 110), rng.uniform(60, 110), rng.uniform(36, 60)])
    before = size * rng.uniform((0.3, 0.1, 0.25), (0.6, 0.9, 0.75))
    return three(
        np.arange(-b, s - b, step) for b, s, step in zip(before, size, spacing_mm, strict=True)
    )
