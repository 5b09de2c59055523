"""Instances of two masks against each other: who covers whom, who matches, what that is worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

IOU_THRESHOLD = 0.5
MERGED_SHARE = 0.5
"""A prediction that covers at least this share of each of several references merges them."""
SPLIT_SHARE = 0.2
"""A reference of which several predictions cover at least this share each is split."""


@dataclass(frozen=True)
class Overlap:
    """Common voxels of all instances of two masks.

    Parameters
    ----------
    references, predictions
        Labels that occur, ascending.
    common
        Voxels that both share, shape (references, predictions).
    reference_n, prediction_n
        Voxels of every instance.
    """

    references: tuple[int, ...]
    predictions: tuple[int, ...]
    common: Counts
    reference_n: Counts
    prediction_n: Counts

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, shape (references, predictions)."""
        union = self.reference_n[:, None] + self.prediction_n[None] - self.common
        return np.asarray(self.common / union)

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient, shape (references, predictions)."""
        return np.asarray(2 * self.common / (self.reference_n[:, None] + self.prediction_n[None]))

    def without(self, references: set[int]) -> "Overlap":
        """Leave out `references`, and the predictions that lie mostly on them."""
        stays = np.array([label not in references for label in self.references], bool)
        if stays.all():
            return self
        on_kept = self.common[stays].max(axis=0, initial=0)
        on_left_out = self.common[~stays].max(axis=0, initial=0)
        kept = on_kept >= on_left_out
        return Overlap(
            tuple(np.array(self.references, int)[stays].tolist()),
            tuple(np.array(self.predictions, int)[kept].tolist()),
            self.common[np.ix_(stays, kept)],
            self.reference_n[stays],
            self.prediction_n[kept],
        )


@dataclass(frozen=True)
class Recognition:
    """How many instances were recognised.

    Parameters
    ----------
    matched, missed, false
        References with a match, references without, predictions without.
    merged
        Predictions that hold several references.
    split
        References that lie in several predictions.
    """

    matched: int
    missed: int
    false: int
    merged: int
    split: int

    @property
    def quality(self) -> float | None:
        """Recognition quality, TP / (TP + FP / 2 + FN / 2); None where nothing is there."""
        total = self.matched + (self.missed + self.false) / 2
        return self.matched / total if total else None


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks; 1 if both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def overlap(reference: NDArray[np.integer[Any]], prediction: NDArray[np.integer[Any]]) -> Overlap:
    """Count the common voxels of two instance masks (0 is background) in one pass."""
    occupied = (reference != 0) | (prediction != 0)
    r_labels, r_index = _indexed(reference[occupied])
    p_labels, p_index = _indexed(prediction[occupied])
    pairs = r_index * len(p_labels) + p_index
    common = np.bincount(pairs, minlength=len(r_labels) * len(p_labels))
    common = common.reshape(len(r_labels), len(p_labels))
    is_reference, is_prediction = r_labels != 0, p_labels != 0
    return Overlap(
        tuple(r_labels[is_reference].tolist()),
        tuple(p_labels[is_prediction].tolist()),
        common[np.ix_(is_reference, is_prediction)],
        common.sum(axis=1)[is_reference],
        common.sum(axis=0)[is_prediction],
    )


def _indexed(mask: NDArray[np.integer[Any]]) -> tuple[Counts, Counts]:
    """Labels that occur in a list of voxels, and the place of each voxel's among them."""
    occurs = np.bincount(mask) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[mask]


def match(found: Overlap, *, is_strict: bool = True) -> dict[int, int]:
    """Reference -> prediction of all pairs with an IoU above one half.

    Parameters
    ----------
    found
        Overlap of the masks.
    is_strict
        Above one half, where a match is the only one (Kirillov et al., Panoptic Segmentation, CVPR
        2019, section 4.1); otherwise one half counts too, and the better pair goes first.
    """
    iou = found.iou
    passes = iou > IOU_THRESHOLD if is_strict else iou >= IOU_THRESHOLD
    rows, columns = np.nonzero(passes)
    order = np.lexsort((columns, rows, -iou[rows, columns]))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order], columns[order], strict=True):
        label, partner = found.references[row], found.predictions[column]
        if label not in pairs and partner not in taken:
            pairs[label] = partner
            taken.add(partner)
    return dict(sorted(pairs.items()))


def recognition(found: Overlap, pairs: dict[int, int]) -> Recognition:
    """Count what was matched, missed, invented, merged and split."""
    share = found.common / np.maximum(found.reference_n[:, None], 1)
    return Recognition(
        matched=len(pairs),
        missed=len(found.references) - len(pairs),
        false=len(found.predictions) - len(pairs),
        merged=int(((share >= MERGED_SHARE).sum(axis=0) > 1).sum()),
        split=int(((share >= SPLIT_SHARE).sum(axis=1) > 1).sum()),
    )
