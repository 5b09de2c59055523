"""Divide vertebrae into body, arch and processes (docs/measures.md#g1)."""

from dataclasses import dataclass

import numpy as np

from columna.anatomy import BODY, POSTERIOR_ELEMENTS, Semantic
from columna.label.kinds import instance_kind
from columna.measure.anatomy.fov import FieldOfView
from columna.measure.context import MeasureContext
from columna.measure.tools.regions import LabelledRuns, Region

_PARTS = 128
"""More than any semantic label of a vertebra: vertebra and part make one number."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The regions of one vertebra: body (None where it has none), and 41 to 48 by label."""

    voxels_n: int
    faces: str
    body: Region | None
    posterior: dict[int, Region]


def vertebra_parts(
    context: MeasureContext,
    instance: LabelledRuns,
    regions: dict[int, Region],
    fov: FieldOfView,
) -> dict[int, Parts]:
    """Divide the vertebrae of the instance mask by the labels of the semantic mask.

    Parameters
    ----------
    context
        The scan.
    instance, regions
        Labelled voxels of the instance mask, and their regions.
    fov
        The field of view.
    """
    label_of = np.repeat(instance.labels, instance.counts).astype(np.uint16)
    is_vertebra = np.isin(label_of, [n for n in instance.labels if instance_kind(n) == "vertebra"])
    index, label_of = instance.index[is_vertebra], label_of[is_vertebra]
    part_of = _part_table()[context.semantic.array.reshape(-1)[index]]
    voxels = LabelledRuns.from_index(instance.shape, index, label_of * _PARTS + part_of)
    found: dict[int, dict[int, Region]] = {}
    for number, region in voxels.regions(context.instance.affine).items():
        label, part = divmod(number, _PARTS)
        found.setdefault(label, {})[part] = region
    return {
        label: Parts(
            voxels_n=regions[label].voxels_n,
            faces=fov.faces(regions[label]),
            body=parts.get(Semantic.VERTEBRAL_BODY),
            posterior={part: parts[part] for part in POSTERIOR_ELEMENTS if part in parts},
        )
        for label, parts in found.items()
    }


def _part_table() -> np.ndarray:
    """Semantic label -> part: 41 to 48 themselves, 49 for all of the body, 0 for the rest."""
    table = np.zeros(np.iinfo(np.uint16).max + 1, np.uint16)
    table[list(POSTERIOR_ELEMENTS)] = POSTERIOR_ELEMENTS
    table[list(BODY)] = Semantic.VERTEBRAL_BODY
    return table
