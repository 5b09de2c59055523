"""Count, locate and bound the regions of a labelled grid.

Only the labelled voxels are visited, as runs along the last axis: their number decides the cost.
Sums and bounds of indices are integers, so that results do not depend on how a grid is stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Region:
    """One labelled region.

    Parameters
    ----------
    voxels_n
        Number of voxels.
    start, stop
        Box of the region, array indices, shape (3,).
    centroid_mm
        Mean of the voxel centres, RAS+, shape (3,).
    extent_mm
        Size along the scanner's axes, whole voxels included, shape (3,).
    centre_mm
        Middle of that box, RAS+, shape (3,).
    """

    voxels_n: int
    start: np.ndarray
    stop: np.ndarray
    centroid_mm: np.ndarray
    extent_mm: np.ndarray
    centre_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class LabelledRuns:
    """The labelled voxels of a grid as runs along its last axis, sorted by label.

    Parameters
    ----------
    shape
        Voxels of the grid.
    labels
        The labels that occur, ascending, shape (k,).
    at
        The runs of ``labels[i]`` begin at ``at[i]``, shape (k,).
    first
        Flat index (C order) of the first voxel of every run, shape (n,).
    length
        Voxels of every run, shape (n,).
    """

    shape: tuple[int, int, int]
    labels: np.ndarray
    at: np.ndarray
    first: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> "LabelledRuns":
        """Take all voxels of `array` that are not 0."""
        index = np.flatnonzero(array)
        return cls.from_index(array.shape, index, array.reshape(-1)[index])

    @classmethod
    def from_index(
        cls, shape: tuple[int, int, int], index: np.ndarray, labels: np.ndarray
    ) -> "LabelledRuns":
        """Take the voxels at the flat `index` (neighbours in turn) with their `labels`."""
        begins = np.ones(len(index), bool)
        begins[1:] = (np.diff(index) != 1) | (labels[1:] != labels[:-1])
        begins[1:] |= index[1:] % shape[2] == 0
        begin = np.flatnonzero(begins)
        length = np.diff(begin, append=len(index))
        order = np.argsort(labels[begin], kind="stable")
        occurring, at = np.unique(labels[begin[order]], return_index=True)
        return cls(shape, occurring, at, index[begin[order]], length[order])

    @cached_property
    def counts(self) -> np.ndarray:
        """Voxels of every label, shape (k,)."""
        return np.add.reduceat(self.length, self.at) if len(self.at) else self.length

    @cached_property
    def index(self) -> np.ndarray:
        """Flat index of every voxel, sorted by label."""
        skipped = np.cumsum(self.length) - self.length
        return np.arange(self.length.sum()) + np.repeat(self.first - skipped, self.length)

    def by_label(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every label with the entries it has in `values`, which are in order of `index`."""
        ends = np.cumsum(self.counts)
        for label, end, count in zip(self.labels, ends, self.counts, strict=True):
            yield int(label), values[end - count : end]

    def regions(self, affine: np.ndarray) -> dict[int, Region]:
        """Count, locate and bound every label; `affine` takes indices to RAS+ mm."""
        if not len(self.labels):
            return {}
        i, j, k = np.unravel_index(self.first, self.shape)
        last = k + self.length - 1
        start = np.stack([np.minimum.reduceat(x, self.at) for x in (i, j, k)], axis=1)
        stop = np.stack([np.maximum.reduceat(x, self.at) for x in (i, j, last)], axis=1) + 1
        sums = (i * self.length, j * self.length, (k + last) * self.length // 2)
        mean = np.stack([np.add.reduceat(x, self.at) for x in sums], axis=1) / self.counts[:, None]
        centroid = mean @ affine[:3, :3].T + affine[:3, 3]
        bounds = [self._bounds(i, j, k, last, row) for row in affine[:3, :3]]
        lowest, highest = np.moveaxis(np.array(bounds), 0, -1)
        extent, centre = highest - lowest, (lowest + highest) / 2 + affine[:3, 3]
        return {
            int(label): Region(
                int(self.counts[n]), start[n], stop[n], centroid[n], extent[n], centre[n]
            )
            for n, label in enumerate(self.labels)
        }

    def _bounds(
        self, i: np.ndarray, j: np.ndarray, k: np.ndarray, last: np.ndarray, row: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends of every label along the scanner axis whose row of the affine is `row`."""
        plane = i * row[0] + j * row[1]
        ends = (plane + k * row[2], plane + last * row[2])
        half = np.abs(row).sum() / 2
        lowest = np.minimum.reduceat(np.minimum(*ends), self.at)
        highest = np.maximum.reduceat(np.maximum(*ends), self.at)
        return lowest - half, highest + half
