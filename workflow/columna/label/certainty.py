"""How sure phase 1 was of every voxel, by the final instance that the voxel lies in.

Phase 1 knows kinds of structures only; which vertebra or disc a voxel belongs to is known once the
final masks are there. Networks and scan may have different grids, so voxels of the network are
looked up in the final mask by their place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from columna.images.volume import Volume, bounding_box

PERCENT = 100.0
LOW_PERCENTILE = 5


@dataclass(frozen=True, eq=False)
class NetworkAnswers:
    """What the networks said, each on its own grid.

    Parameters
    ----------
    semantic, instance
        Raw masks of phase 1 and phase 2.
    probability, entropy
        Of phase 1, in percent, on the grid of `semantic`
        (`columna.semantic.confidence.certainty_maps`).
    """

    semantic: Volume
    instance: Volume
    probability: Volume
    entropy: Volume


@dataclass(frozen=True, eq=False)
class VoxelCertainty:
    """The voxels whose structure phase 1 chose; arrays of length n.

    Parameters
    ----------
    kind
        Semantic label.
    label
        Label of the final instance mask at the voxel's place, 0 where there is none.
    separated
        Number that phase 2 gave it, 0 where none.
    probability, entropy
        Of the network, 0 to 1.
    is_rim
        Whether a neighbour (by a face) is another structure, or none.
    missed
        How much of doubtful background beside the voxel may be structure, too: sum of the
        probabilities, shared with the other structures' voxels around that background.
    place_mm
        RAS+ mm, shape (n, 3).
    """

    kind: np.ndarray
    label: np.ndarray
    separated: np.ndarray
    probability: np.ndarray
    entropy: np.ndarray
    is_rim: np.ndarray
    missed: np.ndarray
    place_mm: np.ndarray

    @classmethod
    def of(cls, answers: NetworkAnswers, instance: Volume) -> "VoxelCertainty":
        """Look up the voxels of `answers` in the final mask `instance`, whatever its grid."""
        box = bounding_box(answers.semantic.array, 1) or (slice(0, 0),) * 3
        semantic = answers.semantic.cropped(box)
        probability, entropy = (
            volume.array[box] for volume in (answers.probability, answers.entropy)
        )
        index = np.nonzero(probability * (semantic.array > 0))
        place = np.stack(index, axis=1) @ semantic.affine[:3, :3].T + semantic.affine[:3, 3]
        return cls(
            semantic.array[index],
            values_at(instance, place),
            values_at(answers.instance, place),
            probability[index] / np.float32(PERCENT),
            entropy[index] / np.float32(PERCENT),
            _rim(semantic.array)[index],
            _missed(semantic.array, probability)[index] / np.float32(PERCENT),
            place,
        )

    def groups(self, chosen: np.ndarray, owner: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every owner but 0 with the places (in the arrays) of the `chosen` voxels it has."""
        at = np.flatnonzero(chosen & (owner != 0))
        order = at[np.argsort(owner[at], kind="stable")]
        owners, first = np.unique(owner[order], return_index=True)
        for number, part in zip(owners.tolist(), np.split(order, first[1:]), strict=True):
            yield int(number), part

    def summary(self, part: np.ndarray) -> dict[str, float]:
        """Columns ``confidence_*`` and ``entropy_mean_ratio`` of some voxels."""
        sure = self.probability[part]
        return {
            "confidence_mean_ratio": float(sure.mean(dtype=float)),
            "confidence_p05_ratio": float(np.percentile(sure, LOW_PERCENTILE)),
            "entropy_mean_ratio": float(self.entropy[part].mean(dtype=float)),
        }

    def by_instance(self, *kinds: int) -> Mapping[int, dict[str, float]]:
        """Final instance label -> summary over its voxels, or those of some structures only."""
        chosen = np.isin(self.kind, kinds) if kinds else np.ones(len(self.kind), bool)
        return {n: self.summary(part) for n, part in self.groups(chosen, self.label)}


def values_at(volume: Volume, place_mm: np.ndarray) -> np.ndarray:
    """Voxels of `volume` nearest to places (n, 3) in RAS+ mm; 0 outside."""
    inverse = np.linalg.inv(volume.affine)
    index = np.rint(place_mm @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=1)
    found = np.zeros(len(index), volume.array.dtype)
    found[inside] = volume.array[tuple(index[inside].T)]
    return found


def _rim(mask: np.ndarray) -> np.ndarray:
    """Voxels with a neighbour of another label, along any axis."""
    rim = np.zeros(mask.shape, bool)
    for here, there in _faces(mask.ndim):
        rim[here] |= mask[here] != mask[there]
    return rim


def _missed(mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Doubtful background beside each voxel of a structure, in percent (float32).

    A voxel of the background is shared equally by the voxels of structures at its faces.
    """
    around = np.zeros(mask.shape, np.uint8)
    is_structure = mask > 0
    for here, there in _faces(mask.ndim):
        around[here] += is_structure[there]
    doubt = np.where(is_structure, 0, probability).astype(np.float32)
    share = doubt / np.maximum(around, 1)
    missed = np.zeros(mask.shape, np.float32)
    for here, there in _faces(mask.ndim):
        missed[here] += np.where(is_structure[here], share[there], 0)
    return missed


def _faces(axes: int) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Pairs of slices: all voxels that have a neighbour in a direction, and these neighbours."""
    whole = (slice(None),)
    for axis in range(axes):
        for one, other in ((slice(1, None), slice(-1)), (slice(-1), slice(1, None))):
            before, after = whole * axis, whole * (axes - axis - 1)
            yield (*before, one, *after), (*before, other, *after)
