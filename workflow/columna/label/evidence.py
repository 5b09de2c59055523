"""What the masks show of every body found: the evidence that names are judged by.

Everything is measured in mm through the affine, so that it holds in sheared and oblique grids. A
value that a mask cannot tell (a body cut by the image, no process, no canal beside it) is NaN and
says nothing.
"""

from dataclasses import dataclass

import cc3d
import numpy as np

from columna.anatomy import Semantic
from columna.images.volume import bounding_box
from columna.label.components import INFERIOR
from columna.label.dens import has_dens
from columna.label.seen_spine import SeenSpine

MIN_SACRUM_MM3 = 2000.0
"""A smaller sacrum is noise, or cut so far that it proves nothing."""
MIN_DISC_MM3 = 200.0
"""No disc of an adult is smaller (docs/levels.md#the-model); what is, is an island of the label."""
MIN_SPINOUS_VOXELS = 20
"""Less of a spinous process has no direction."""
BARE_RATIO = 1.15
"""An instance up to this much larger than its body has no processes to speak of."""
EDGE_MM = 2.0
"""A body nearer to an image edge than this is cut."""
CORD_MM2 = 12.0
"""A smaller section is no cord."""
SLAB_MM = 3.0
"""Cord and canal are looked for this far above and below the middle of a body."""
DISC_REACH_MM = 45.0
"""A disc farther from the middle of a body than this is not the one below it."""
REACH = 3
"""So many bodies up and down tell the direction of the spine, and what is usual beside a body."""
TOP_BODIES = 3
"""C2 is looked for among so many of the topmost bodies."""
SACRUM_BODIES = 4
"""The distance to the sacrum is measured for so many of the lowest bodies."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measures of the bodies found, from top to bottom; arrays of length n unless said otherwise.

    Parameters
    ----------
    height_mm, depth_mm, width_mm
        Size along the spine, towards the front, and from side to side: that of a box with the
        same second moments. NaN where the image cuts the body; of one that is cut at a side, the
        width only.
    tilt_deg
        How far the spine leans forwards here, against the scan's vertical.
    spinous_deg
        Slope of the spinous process: its rear third against its front third, below the
        horizontal of the vertebra.
    off_mm
        Distance from the line through the bodies around.
    size_ratio
        Cube root of the body's volume against the median of the bodies around; NaN where the
        image cuts the body above or below.
    bare, dens, cord
        1 or 0: whether it lacks processes, looks like C2, has cord behind it.
    centre_mm
        Middle of each body, RAS+ mm, shape (n, 3).
    disc
        Whether a disc lies between a body and the next one (1 or 0), shape (n - 1,).
    sacrum_mm3
        Volume of the largest piece of sacrum, 0 unless it lies below the lowest body.
    sacrum_mm, sacrum_disc
        Distance from the middle of the body to the nearest voxel of the sacrum, and whether a
        disc lies right below the body; NaN where there is no sacrum.
    room_above_mm, room_below_mm
        Image above the first and below the last body.
    """

    height_mm: np.ndarray
    depth_mm: np.ndarray
    width_mm: np.ndarray
    tilt_deg: np.ndarray
    spinous_deg: np.ndarray
    off_mm: np.ndarray
    size_ratio: np.ndarray
    bare: np.ndarray
    dens: np.ndarray
    cord: np.ndarray
    centre_mm: np.ndarray
    disc: np.ndarray
    sacrum_mm3: float
    sacrum_mm: np.ndarray
    sacrum_disc: np.ndarray
    room_above_mm: float
    room_below_mm: float

    @property
    def count(self) -> int:
        """Number of bodies."""
        return len(self.height_mm)

    @property
    def has_sacrum(self) -> bool:
        """Whether there is a sacrum to count from."""
        return self.sacrum_mm3 > 0


def evidence_of(spine: SeenSpine) -> Evidence:
    """Measure the bodies `SeenSpine.levels` of a spine that has any."""
    voxels = _Voxels.of(spine)
    bodies = spine.levels
    centre, moments, body_n = voxels.bodies(bodies)
    up, off = _directions(centre)
    axes = _axes(up)
    extent = np.sqrt(12 * np.maximum(np.einsum("nki,nij,nkj->nk", axes, moments, axes), 1e-6))
    cut_si, cut_rl = _cuts(spine, bodies)
    sizes = np.where(cut_si, np.nan, np.cbrt(body_n.astype(float)))
    sacrum_mm3, sacrum_points = _sacrum(spine)
    sacrum_mm = _distances(centre, sacrum_points)
    above, below = _room(spine, bodies)
    return Evidence(
        height_mm=np.where(cut_si, np.nan, extent[:, 0]),
        depth_mm=np.where(cut_si, np.nan, extent[:, 1]),
        width_mm=np.where(cut_si | cut_rl, np.nan, extent[:, 2]),
        tilt_deg=np.degrees(np.arctan2(up[:, 1], up[:, 2])),
        spinous_deg=np.where(cut_si, np.nan, _spinous_deg(voxels, bodies, axes)),
        off_mm=off,
        size_ratio=np.array([s / _around(sizes, i) for i, s in enumerate(sizes)]),
        bare=_bare(voxels.counts(bodies), body_n),
        dens=np.array(
            [has_dens(spine, i) if i < TOP_BODIES else np.nan for i in range(len(bodies))]
        ),
        cord=_cord(spine, bodies),
        centre_mm=centre,
        disc=_discs(spine, bodies),
        sacrum_mm3=sacrum_mm3,
        sacrum_mm=sacrum_mm,
        sacrum_disc=_sacrum_discs(spine, bodies, centre, sacrum_mm),
        room_above_mm=above,
        room_below_mm=below,
    )


@dataclass(frozen=True, eq=False)
class _Voxels:
    """The voxels of all instances: number, structure, and index in the flattened mask."""

    spine: SeenSpine
    instance: np.ndarray
    semantic: np.ndarray
    index: np.ndarray
    count: int

    @classmethod
    def of(cls, spine: SeenSpine) -> "_Voxels":
        index = np.flatnonzero(spine.instance)
        instance, semantic = spine.instance.ravel()[index], spine.semantic.ravel()[index]
        return cls(spine, instance.astype(int), semantic, index, spine.count)

    def counts(self, bodies: list[int]) -> np.ndarray:
        """Voxels of each instance."""
        return np.bincount(self.instance, minlength=self.count + 1)[bodies]

    def of_structures(self, *structures: int) -> tuple[np.ndarray, np.ndarray]:
        """Number of the instance, and place in RAS+ mm (3, n), of voxels of some structures."""
        mine = np.zeros(256, bool)
        mine[list(structures)] = True
        mine = mine[self.semantic]
        place = np.array(np.unravel_index(self.index[mine], self.spine.instance.shape), float)
        return self.instance[mine], self.spine.to_mm(place)

    def bodies(self, bodies: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centres (n, 3), second moments (n, 3, 3) and voxel counts of the bodies."""
        owner, mm = self.of_structures(Semantic.VERTEBRAL_BODY, Semantic.DENS)
        number = np.bincount(owner, minlength=self.count + 1)
        centre = self._mean(owner, mm, number)
        away = mm - centre[owner].T
        moments = np.zeros((self.count + 1, 3, 3))
        for a in range(3):
            for b in range(a, 3):
                total = np.bincount(owner, away[a] * away[b], self.count + 1)
                moments[:, a, b] = moments[:, b, a] = total / np.maximum(number, 1)
        return centre[bodies], moments[bodies], number[bodies]

    def _mean(self, owner: np.ndarray, mm: np.ndarray, number: np.ndarray) -> np.ndarray:
        sums = [np.bincount(owner, axis, self.count + 1) for axis in mm]
        return np.stack(sums, axis=1) / np.where(number > 0, number, np.nan)[:, None]


def _directions(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upward direction of the spine at each body, and the body's distance from that line.

    Medians over pairs of the bodies around, so that one that lies astray does not turn the line.
    """
    up, off = np.tile([0.0, 0.0, 1.0], (len(centre), 1)), np.full(len(centre), np.nan)
    for i in range(len(centre)):
        near = np.arange(max(i - 2, 0), min(i + 3, len(centre)))
        slope = _slope(centre[near])
        if slope is None:
            continue
        up[i] = slope / np.linalg.norm(slope)
        others = np.array([j for j in range(i - REACH, i + REACH + 1) if 0 <= j < len(centre)])
        others = others[others != i]
        line = _slope(centre[others])
        if line is not None and len(others) >= 3:
            drawn = centre[others] + (centre[i, 2] - centre[others, 2])[:, None] * line
            nearest = np.argsort(np.abs(others - i), kind="stable")[:3]
            off[i] = np.linalg.norm(centre[i] - np.median(drawn[nearest], axis=0))
    return up, off


def _slope(points: np.ndarray) -> np.ndarray | None:
    """Median step (right, anterior, 1) per mm upwards; None where all are at one height."""
    first, second = np.triu_indices(len(points), 1)
    step = points[first] - points[second]
    step = step[step[:, 2] > 1.0]
    return np.median(step / step[:, 2:], axis=0) if len(step) else None


def _axes(up: np.ndarray) -> np.ndarray:
    """Upward, forward and sideward unit vectors at each body, (n, 3 vectors, 3)."""
    right = np.cross(np.tile([0.0, 1.0, 0.0], (len(up), 1)), up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([up, np.cross(up, right), right], axis=1)


def _spinous_deg(voxels: _Voxels, bodies: list[int], axes: np.ndarray) -> np.ndarray:
    """Slope of each spinous process below the horizontal of its vertebra."""
    owner, mm = voxels.of_structures(Semantic.SPINOUS_PROCESS)
    slope = np.full(len(bodies), np.nan)
    for place, body in enumerate(bodies):
        points = mm[:, owner == body]
        if points.shape[1] < MIN_SPINOUS_VOXELS:
            continue
        down, back = -(axes[place, :2] @ points)
        near, far = np.quantile(back, [1 / 3, 2 / 3])
        root, tip = back <= near, back >= far
        fall = down[tip].mean() - down[root].mean()
        slope[place] = np.degrees(np.arctan2(fall, back[tip].mean() - back[root].mean()))
    return slope


def _around(values: np.ndarray, place: int) -> float:
    """Median of the known values around `place`, NaN where there are none."""
    near = np.delete(values[max(place - REACH, 0) : place + REACH + 1], min(place, REACH))
    near = near[np.isfinite(near)]
    return float(np.median(near)) if len(near) else np.nan


def _cuts(spine: SeenSpine, bodies: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Whether the image cuts each body above or below, and at a side."""
    si, rl = [], []
    for body in bodies:
        touched = spine.edges_mm(body) < EDGE_MM
        si.append(touched[INFERIOR].any())
        # the first and last slice need no margin: a slice is thick
        rl.append((spine.edges_mm(body)[2] < 0.5 * spine.spacing_mm[2]).any())
    return np.array(si, bool), np.array(rl, bool)


def _room(spine: SeenSpine, bodies: list[int]) -> tuple[float, float]:
    first, last = spine.edges_mm(bodies[0]), spine.edges_mm(bodies[-1])
    return float(first[INFERIOR][0]), float(last[INFERIOR][1])


def _bare(whole_n: np.ndarray, body_n: np.ndarray) -> np.ndarray:
    """Masks of bodies alone say nothing about processes."""
    bare = whole_n < BARE_RATIO * body_n
    return np.full(len(bare), np.nan) if bare.mean() > 0.5 else bare.astype(float)


def _cord(spine: SeenSpine, bodies: list[int]) -> np.ndarray:
    """Whether cord lies at the height of each body; NaN where there is no canal."""
    rows = {
        name: np.count_nonzero(spine.semantic == label, axis=(0, 2))
        for name, label in (("canal", Semantic.SPINAL_CANAL), ("cord", Semantic.SPINAL_CORD))
    }
    rows["canal"] = rows["canal"] + rows["cord"]
    half = max(round(SLAB_MM / spine.spacing_mm[INFERIOR]), 1)
    area = float(spine.voxel_volume_mm3 / spine.spacing_mm[INFERIOR])
    found = np.full(len(bodies), np.nan)
    if not rows["cord"].any():  # the canal alone may have been drawn
        return found
    for place, body in enumerate(bodies):
        middle = round(float(spine.centres[body, INFERIOR]))
        slab = slice(max(middle - half, 0), middle + half + 1)
        if rows["canal"][slab].mean() * area >= CORD_MM2:
            found[place] = rows["cord"][slab].mean() * area >= CORD_MM2
    return found


def _disc_centres(spine: SeenSpine) -> np.ndarray:
    spaces = spine.spaces
    large = spaces.voxels * spine.voxel_volume_mm3 >= MIN_DISC_MM3
    return spaces.centres[large & (spaces.owner == Semantic.DISC)]


def _discs(spine: SeenSpine, bodies: list[int]) -> np.ndarray:
    rows = np.sort(_disc_centres(spine)[:, INFERIOR])
    if not len(rows):
        return np.full(max(len(bodies) - 1, 0), np.nan)
    ends = np.searchsorted(rows, spine.centres[bodies, INFERIOR])
    return (np.diff(ends) > 0).astype(float)


def _sacrum(spine: SeenSpine) -> tuple[float, np.ndarray]:
    """Volume of the sacrum below the lowest body, and its voxels in mm, (3, n)."""
    sacrum = spine.semantic == Semantic.SACRUM
    box = bounding_box(sacrum)
    if box is None:
        return 0.0, np.zeros((3, 0))
    # islands elsewhere must not stand for the sacrum
    place = np.argwhere(cc3d.largest_k(sacrum[box], k=1, connectivity=26) > 0).T
    place = place + np.array([s.start for s in box])[:, None]
    volume = place.shape[1] * spine.voxel_volume_mm3
    lowest = spine.centres[spine.levels[-1], INFERIOR]
    if volume < MIN_SACRUM_MM3 or place[INFERIOR].mean() <= lowest:
        return 0.0, np.zeros((3, 0))
    return float(volume), spine.to_mm(place.astype(float))


def _distances(centre: np.ndarray, points: np.ndarray) -> np.ndarray:
    found = np.full(len(centre), np.nan)
    if points.shape[1]:
        for place in range(max(len(centre) - SACRUM_BODIES, 0), len(centre)):
            away = points - centre[place][:, None]
            found[place] = np.sqrt((away**2).sum(axis=0).min())
    return found


def _sacrum_discs(
    spine: SeenSpine, bodies: list[int], centre: np.ndarray, sacrum_mm: np.ndarray
) -> np.ndarray:
    """Whether a disc lies right below each body that a sacrum is known of."""
    discs = _disc_centres(spine)
    if not len(discs):
        return np.full(len(bodies), np.nan)
    away = spine.to_mm(discs.T).T[None] - centre[:, None]
    is_lower = discs[None, :, INFERIOR] > spine.centres[bodies, INFERIOR][:, None]
    near = np.where(is_lower, np.linalg.norm(away, axis=2), np.inf).min(axis=1) < DISC_REACH_MM
    return np.where(np.isfinite(sacrum_mm), near, np.nan)
