"""Rules about the parts of every vertebra: pieces, missing processes, left and right."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cc3d
import numpy as np

from columna.anatomy import POSTERIOR_ELEMENTS, Semantic
from columna.assess.finding import Finding, found
from columna.assess.quality_context import MeasuredRow, QualityContext, ScanCrop
from columna.measure.tools.topology import topology

MIDLINE_PARTS = (Semantic.ARCUS, Semantic.SPINOUS_PROCESS)
"""Structures that every vertebra below C1 shows in a sagittal scan."""
LEFT = (
    Semantic.COSTAL_PROCESS_LEFT,
    Semantic.SUPERIOR_ARTICULAR_LEFT,
    Semantic.INFERIOR_ARTICULAR_LEFT,
)
RIGHT = (
    Semantic.COSTAL_PROCESS_RIGHT,
    Semantic.SUPERIOR_ARTICULAR_RIGHT,
    Semantic.INFERIOR_ARTICULAR_RIGHT,
)
_PARTS = 128
"""More than any semantic label of a vertebra: vertebra and part make one number."""
LEAST_PIECE = 0.05
"""A smaller share of a body is a speck: networks leave one beside many good bodies."""
PAIRED = ("costal", "sup_artic", "inf_artic")
"""Processes of two sides, as the columns of their volumes call them."""


@dataclass(frozen=True)
class PosteriorParts:
    """Posterior elements of all vertebrae.

    Parameters
    ----------
    voxels_n
        (Instance label, semantic label) -> voxels.
    right_mm
        The same -> sum over the voxels of their place along the axis to the right.
    """

    voxels_n: dict[tuple[int, int], int]
    right_mm: dict[tuple[int, int], float]

    @classmethod
    def of(cls, crop: ScanCrop) -> "PosteriorParts":
        """Count the parts of all vertebrae in one pass."""
        index = np.flatnonzero(crop.is_vertebra & np.isin(crop.semantic, POSTERIOR_ELEMENTS))
        vertebra = crop.instance.reshape(-1)[index].astype(int)
        part = crop.semantic.reshape(-1)[index].astype(int)
        place = np.unravel_index(index, crop.instance.shape)
        right_mm = sum(crop.affine[0, axis] * place[axis] for axis in range(3))
        numbers, inverse = np.unique(vertebra * _PARTS + part, return_inverse=True)
        counts = np.bincount(inverse, minlength=len(numbers))
        sums = np.bincount(inverse, weights=right_mm, minlength=len(numbers))
        keys = [divmod(number, _PARTS) for number in numbers.tolist()]
        return cls(
            dict(zip(keys, counts.tolist(), strict=True)),
            dict(zip(keys, sums.tolist(), strict=True)),
        )

    def has(self, vertebra: int, part: int) -> bool:
        """Whether a vertebra has a structure."""
        return (vertebra, int(part)) in self.voxels_n

    def centre_right_mm(self, vertebra: int, parts: Iterable[int]) -> float | None:
        """Mean place of structures of a vertebra along the axis to the right."""
        keys = [(vertebra, int(part)) for part in parts if self.has(vertebra, part)]
        count = sum(self.voxels_n[key] for key in keys)
        return sum(self.right_mm[key] for key in keys) / count if count else None


def vertebra_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the parts of every vertebra."""
    crop = context.crop
    pieces, parts, cut = _pieces_n(crop.bodies), PosteriorParts.of(crop), _cut_labels(context)
    for row in context.vertebrae:
        label = row["spineps_label"]
        bodies_n = pieces.get(label)
        lack = "not_applicable" if row["level"] == "C1" else "not_segmented"
        yield found("body_components", bodies_n, lack, row["vertebra"])
        yield _subregions(row, parts, label in cut)
        yield _symmetry(row)
        yield _swap(row, parts)


def _pieces_n(bodies: np.ndarray) -> dict[int, int]:
    """Label -> components of the body that are no specks."""
    found = {}
    for label, shape in topology(bodies).items():
        found[label] = 1
        if shape.components_n > 1:
            sizes = np.bincount(cc3d.connected_components(bodies == label).reshape(-1))[1:]
            found[label] = int((sizes >= LEAST_PIECE * sizes.sum()).sum())
    return found


def _cut_labels(context: QualityContext) -> set[int]:
    """Instance labels that the upper, lower or posterior edge of the image cuts."""
    faces = ("touches_superior", "touches_inferior", "touches_posterior")
    rows = context.rows.get("structures", ())
    return {r["label"] for r in rows if r["mask"] == "instance" and any(r[face] for face in faces)}


def _subregions(row: MeasuredRow, parts: PosteriorParts, is_cut: bool) -> Finding:
    rule_id, item = "subregion_missing", row["vertebra"]
    if row["level"] == "C1":
        return found(rule_id, None, "not_applicable", item)
    if is_cut:
        return found(rule_id, None, "partial_fov", item)
    missing_n = sum(not parts.has(row["spineps_label"], part) for part in MIDLINE_PARTS)
    return found(rule_id, missing_n, item=item)


def _symmetry(row: MeasuredRow) -> Finding:
    """Compare the processes of both sides that are whole (cut ones have no volume)."""
    pairs = [[row[f"{name}_{side}_volume_mm3"] for side in ("left", "right")] for name in PAIRED]
    whole = [pair for pair in pairs if all(pair)]
    if not whole:
        lack = "partial_fov" if row["arch_status"] == "partial_fov" else "not_segmented"
        return found("lr_symmetry", None, lack, row["vertebra"])
    left, right = np.sum(whole, axis=0)
    return found("lr_symmetry", np.log(left / right), item=row["vertebra"])


def _swap(row: MeasuredRow, parts: PosteriorParts) -> Finding:
    """How far the right processes lie to the right of the left ones."""
    left, right = (parts.centre_right_mm(row["spineps_label"], side) for side in (LEFT, RIGHT))
    if left is None or right is None:
        return found("lr_swap", None, "not_segmented", row["vertebra"])
    return found("lr_swap", right - left, item=row["vertebra"])
