"""A spine of plain shapes whose every measure is known: flat endplates, straight walls, a tube.

The phantoms of `columna.phantom.generate` look like people; this one is for testing measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic
from columna.images.triple import three
from columna.images.volume import Box, Volume
from columna.phantom.voxels import VoxelGrid

BEHIND_MM = 3.0
"""Space between the posterior wall and the canal."""
_STEP_MM = 0.4
_EXPONENT = 3.0
_TUBE_MM = 18.0


@dataclass(frozen=True)
class Segment:
    """A vertebra and the space below it; lengths in mm, angles in degrees.

    Parameters
    ----------
    label
        Instance label; the sacrum may be the last, without a space below.
    height, depth, width, wedge
        Of the body; the height is that of its middle, `wedge` is positive where the front is lower.
    gap, angle, lateral, slip
        Of the space: distance of the bodies in the middle; opening to the front and to the right;
        how far the vertebra slipped forwards on the next.
    canal, cord
        Anterior-posterior and left-right diameter behind the body; no cord: (0, 0).
    """

    label: int
    height: float = 27.0
    depth: float = 34.0
    width: float = 46.0
    wedge: float = 0.0
    gap: float = 10.0
    angle: float = 0.0
    lateral: float = 0.0
    slip: float = 0.0
    canal: tuple[float, float] = (16.0, 23.0)
    cord: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Bone:
    """A placed segment: 4x4 frames (right, anterior, superior, origin) to RAS+ mm.

    `middle` is that of the body, `upper` and `lower` have their origins in the middle of an
    endplate and its normal as third axis.
    """

    segment: Segment
    middle: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def corner(self, side: str, wall: str) -> np.ndarray:
        """Where an ``upper`` or ``lower`` endplate meets a ``posterior`` or ``anterior`` wall."""
        frame = self.upper if side == "upper" else self.lower
        reach = self.segment.depth / 2 / np.cos(np.deg2rad(self.segment.wedge / 2))
        return frame[:3, 3] + frame[:3, 1] * (reach if wall == "anterior" else -reach)


@dataclass(frozen=True, eq=False)
class ExactSpine:
    """Bones from cranial to caudal, with endplates of `endplate_mm`."""

    bones: tuple[Bone, ...]
    endplate_mm: float = 1.2
    disc_share: float = 1.0
    """Depth and width of the discs relative to the mean of their neighbours."""


@dataclass(frozen=True)
class SpinePose:
    """How a spine lies: turned forwards, to the right and about its axis (degrees), and moved."""

    forward: float = 0.0
    right: float = 0.0
    axial: float = 0.0
    shift: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))


def stack(segments: Sequence[Segment], pose: SpinePose, **shape: float) -> ExactSpine:
    """Stack `segments` (cranial to caudal) upon the lowest, whose middle is in the origin."""
    turn = Rotation.from_euler("xyz", [-pose.forward, pose.right, pose.axial], degrees=True)
    middle = np.eye(4)
    middle[:3, :3], middle[:3, 3] = turn.as_matrix(), pose.shift
    bones = [_bone(segments[-1], middle)]
    for segment in reversed(segments[:-1]):
        bend = _turned(segment.angle / 2, segment.lateral / 2)
        lower = bones[-1].upper @ _moved(0, segment.slip, 0)
        lower = lower @ bend @ _moved(0, 0, segment.gap) @ bend
        half = _moved(0, 0, segment.height / 2)
        bones.append(_bone(segment, lower @ _turned(-segment.wedge / 2, 0) @ half))
    return ExactSpine(tuple(reversed(bones)), **shape)


def _bone(segment: Segment, middle: np.ndarray) -> Bone:
    half = _moved(0, 0, segment.height / 2)
    upper = middle @ half @ _turned(-segment.wedge / 2, 0)
    lower = middle @ np.linalg.inv(half) @ _turned(segment.wedge / 2, 0)
    return Bone(segment, middle, upper, lower)


def _moved(r: float, a: float, s: float) -> np.ndarray:
    frame = np.eye(4)
    frame[:3, 3] = (r, a, s)
    return frame


def _turned(back: float, left: float) -> np.ndarray:
    """Lean what follows backwards (lordosis) and to the left, degrees."""
    frame = np.eye(4)
    frame[:3, :3] = Rotation.from_euler("xy", [back, -left], degrees=True).as_matrix()
    return frame


def draw(
    spine: ExactSpine,
    spacing_mm: tuple[float, float, float] = (3.3, 0.857, 0.857),
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    margin_mm: float = 10.0,
) -> tuple[Volume, Volume]:
    """Paint semantic and instance mask, axes to R, A, S, by what lies at the voxel centres.

    Parameters
    ----------
    spine
        What to paint.
    spacing_mm
        Voxel size to the right, anterior and superior.
    offset
        Moves the grid by a part of a voxel.
    margin_mm
        Field of view around bones and canal.
    """
    corners = np.concatenate([_corners(bone) for bone in spine.bones])
    low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
    spacing = np.asarray(spacing_mm)
    shape = three(int(n) for n in np.ceil((high - low) / spacing))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low + np.asarray(offset) * spacing
    canvas = _Canvas(
        VoxelGrid(shape, affine), np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    )
    _paint_canal(spine, canvas)
    for upper, bone in zip([None, *spine.bones[:-1]], spine.bones, strict=True):
        _paint_bone(bone, upper, spine, canvas)
        if upper is not None:
            _paint_disc(upper, bone, spine, canvas)
    return Volume(canvas.semantic, affine), Volume(canvas.instance, affine)


@dataclass(frozen=True, eq=False)
class _Canvas:
    """Both masks on one grid."""

    grid: VoxelGrid
    semantic: np.ndarray
    instance: np.ndarray

    def write(self, box: Box, where: np.ndarray, semantic: int, instance: int) -> None:
        """Label the voxels of `box` for which `where` holds."""
        self.semantic[box][where] = semantic
        self.instance[box][where] = instance

    def around(self, frame: np.ndarray, reach_mm: float) -> Box:
        """Box of the grid within `reach_mm` of a frame's origin."""
        low = np.full(3, -reach_mm)
        return self.grid.box(frame, low, -low) or (slice(0, 0),) * 3


def _corners(bone: Bone) -> np.ndarray:
    """Corners of a box around a body and the canal behind it."""
    s = bone.segment
    back = s.depth / 2 + BEHIND_MM + s.canal[0]
    local = np.array(
        [[r, a, h] for r in (-1, 1) for a in (-back, s.depth / 2) for h in (-1, 1)], float
    )
    local *= (s.width / 2, 1, s.height / 2)
    return local @ bone.middle[:3, :3].T + bone.middle[:3, 3]


def _within(r: np.ndarray, a: np.ndarray, depth: float, width: float) -> np.ndarray:
    """Whether places lie inside a superellipse."""
    return np.abs(r / (width / 2)) ** _EXPONENT + np.abs(a / (depth / 2)) ** _EXPONENT <= 1


def _paint_bone(bone: Bone, above: Bone | None, spine: ExactSpine, canvas: _Canvas) -> None:
    """A body with its endplates, which lie outside its height."""
    s, plate = bone.segment, spine.endplate_mm
    box = canvas.around(bone.middle, s.width / 2 + s.height)
    r, a, _ = canvas.grid.coordinates(bone.middle, box)
    inside = _within(r, a, s.depth, s.width)
    top, bottom = (canvas.grid.coordinates(f, box)[2] for f in (bone.upper, bone.lower))
    is_sacrum = s.label == SACRUM
    body = Semantic.SACRUM if is_sacrum else Semantic.VERTEBRAL_BODY
    canvas.write(box, inside & (top <= 0) & (bottom >= 0), body, s.label)
    upper, lower = inside & (top > 0) & (top <= plate), inside & (bottom < 0) & (bottom >= -plate)
    if above is not None:
        canvas.write(box, upper, Semantic.ENDPLATE, ENDPLATE_OFFSET + above.segment.label)
    if not is_sacrum:
        canvas.write(box, lower, Semantic.ENDPLATE, ENDPLATE_OFFSET + s.label)


def _paint_disc(upper: Bone, lower: Bone, spine: ExactSpine, canvas: _Canvas) -> None:
    """Everything between the endplates of a space, inside its own wall."""
    frame, plate = _between(upper, lower), spine.endplate_mm
    above, below = upper.segment, lower.segment
    depth = spine.disc_share * (above.depth + below.depth) / 2
    width = spine.disc_share * (above.width + below.width) / 2
    box = canvas.around(frame, width / 2 + above.gap)
    r, a, _ = canvas.grid.coordinates(frame, box)
    where = _within(r, a, depth, width)
    where &= canvas.grid.coordinates(upper.lower, box)[2] < -plate
    where &= canvas.grid.coordinates(lower.upper, box)[2] > plate
    canvas.write(box, where, Semantic.DISC, DISC_OFFSET + above.label)


def _between(upper: Bone, lower: Bone) -> np.ndarray:
    """Frame half-way between two endplates."""
    turns = Rotation.from_matrix([upper.lower[:3, :3], lower.upper[:3, :3]])
    frame = np.eye(4)
    frame[:3, :3] = turns.mean().as_matrix()
    frame[:3, 3] = (upper.lower[:3, 3] + lower.upper[:3, 3]) / 2
    return frame


def _paint_canal(spine: ExactSpine, canvas: _Canvas) -> None:
    """Elliptic tubes perpendicular to a smooth line behind the bodies."""
    line, tangent, right, tubes = _tubes(spine)
    tree = cKDTree(line)
    for piece in np.array_split(np.arange(len(line)), max(len(line) // 50, 1)):
        low, high = line[piece].min(axis=0), line[piece].max(axis=0)
        box = canvas.grid.box(np.eye(4), low - _TUBE_MM, high + _TUBE_MM)
        if box is None:
            continue
        points = np.stack(canvas.grid.coordinates(np.eye(4), box), axis=-1)
        _, nearest = tree.query(points)
        offset = points - line[nearest]
        r = (offset * right[nearest]).sum(axis=-1)
        a = (offset * np.cross(tangent, right)[nearest]).sum(axis=-1)
        is_beside = np.abs((offset * tangent[nearest]).sum(axis=-1)) <= _STEP_MM
        for label, axes in tubes.items():
            half = np.maximum(axes[nearest] / 2, 1e-3)
            inside = (a / half[..., 0]) ** 2 + (r / half[..., 1]) ** 2 <= 1
            canvas.semantic[box][inside & is_beside] = label


def _tubes(
    spine: ExactSpine,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[Semantic, np.ndarray]]:
    """Centre line with tangents and right vectors, shape (n, 3), and diameters, shape (n, 2)."""
    bones = spine.bones
    places = [
        (b.middle @ [0, -(b.segment.depth / 2 + BEHIND_MM + b.segment.canal[0] / 2), 0, 1])[:3]
        for b in bones
    ]
    knots = np.array([2 * places[0] - places[1], *places, 2 * places[-1] - places[-2]])
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    curve, t = CubicSpline(chord, knots), np.arange(0, chord[-1], _STEP_MM)
    tangent = _unit(curve(t, 1))

    def along(values: list) -> np.ndarray:
        padded = np.array([values[0], *values, values[-1]], float)
        return np.stack([np.interp(t, chord, column) for column in padded.T], axis=1)

    right = along([b.middle[:3, 0] for b in bones])
    right = _unit(right - (right * tangent).sum(axis=1, keepdims=True) * tangent)
    canal = along([b.segment.canal for b in bones])
    cord = along([b.segment.cord for b in bones])
    return curve(t), tangent, right, {Semantic.SPINAL_CANAL: canal, Semantic.SPINAL_CORD: cord}


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
