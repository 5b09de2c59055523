"""Planes cut from a scan and its masks: rows run down, columns to the right of the picture."""

from dataclasses import dataclass

import numpy as np

from columna.anatomy import BODY, CANAL, SACRUM, Semantic
from columna.images.volume import Volume
from columna.picture.middle import Middle, sagittal_plane

MARGIN_MM = 15.0
"""Shown above, below and behind the spine."""
IN_FRONT_MM = 40.0
"""Shown in front of the middle of the bodies: no face, whatever else the scan holds."""
BEHIND_MM = 80.0
"""Shown behind the canal at most."""
_ROW_STRUCTURES = (*BODY, *CANAL, Semantic.SACRUM, Semantic.DISC, Semantic.DENS)


@dataclass(frozen=True, eq=False)
class Cut:
    """A plane of a scan.

    Parameters
    ----------
    image
        Signal, shape (rows, columns).
    semantic, instance
        Masks, or None where there are none; shape as `image`.
    is_shown
        False where the picture stays black.
    pixel_mm
        Height and width of a pixel.
    """

    image: np.ndarray
    semantic: np.ndarray | None
    instance: np.ndarray | None
    is_shown: np.ndarray
    pixel_mm: tuple[float, float]


@dataclass(frozen=True)
class SpineWindow:
    """What is shown, in voxels along P and I; ends are not included."""

    columns: tuple[int, int]
    rows: tuple[int, int]


def spine_window(semantic: Volume, middle: Middle) -> SpineWindow:
    """The part of a grid that holds the spine, and little else."""
    spacing = semantic.spacing_mm
    rows = np.flatnonzero(np.isin(semantic.array, _ROW_STRUCTURES).any(axis=(0, 2)))
    first, last = _with_margin(rows[0], rows[-1], MARGIN_MM / spacing[1], semantic.shape[1])
    inside = slice(first, last)
    columns = np.flatnonzero((semantic.array[:, inside] > 0).any(axis=(1, 2)))
    front = int(_front(middle, spacing)[inside].min())
    farthest = int(middle.canal_p[inside].max() + BEHIND_MM / spacing[0])
    behind = min(int(columns[-1] + MARGIN_MM / spacing[0]), farthest)
    return SpineWindow((max(front, 0), min(behind + 1, semantic.shape[0])), (first, last))


def cut_sagittal(
    image: Volume,
    semantic: Volume,
    instance: Volume,
    middle: Middle,
    window: SpineWindow,
    *,
    is_whole: bool = False,
) -> Cut:
    """The plane through the middle of bodies and canal; anterior is on the left.

    Parameters
    ----------
    image, semantic, instance
        On one grid, in (P, I, R).
    middle, window
        Where the spine runs, and what is shown.
    is_whole
        Also show what lies farther in front of the bodies than `IN_FRONT_MM`.
    """
    columns, rows = np.arange(*window.columns), np.arange(*window.rows)
    part = _rows_of(middle, rows)
    across = sagittal_plane(part, columns, image.spacing_mm).clip(0, image.shape[2] - 1)
    at = np.ix_(columns, rows)
    nearest = np.floor(across + 0.5).astype(int)
    front = _front(part, image.spacing_mm)
    is_shown = np.ones(across.shape, bool) if is_whole else columns[:, None] >= front
    return Cut(
        image=_between_slices(image.array, at, across).T,
        semantic=semantic.array[(*at, nearest)].T,
        instance=instance.array[(*at, nearest)].T,
        is_shown=is_shown.T,
        pixel_mm=(float(image.spacing_mm[1]), float(image.spacing_mm[0])),
    )


def cut_coronal(
    image: Volume, semantic: Volume, instance: Volume, middle: Middle, window: SpineWindow
) -> Cut:
    """The surface through the middle of the bodies; the patient's right is on the left."""
    rows = np.arange(*window.rows)
    depth = np.floor(_rows_of(middle, rows).body_p + 0.5).astype(int)
    depth = depth.clip(0, image.shape[0] - 1)
    picture = np.asarray(image.array[depth, rows, ::-1])
    return Cut(
        image=picture,
        semantic=np.asarray(semantic.array[depth, rows, ::-1]),
        instance=np.asarray(instance.array[depth, rows, ::-1]),
        is_shown=np.ones(picture.shape, bool),
        pixel_mm=(float(image.spacing_mm[1]), float(image.spacing_mm[2])),
    )


def cut_middle(image: Volume, *, is_whole: bool = False) -> Cut:
    """The middle slice of a scan whose spine is not known.

    Its front half stays black, as it may be a face.
    """
    plane = image.array[:, :, image.shape[2] // 2].astype(np.float32).T
    low, high = np.percentile(plane, (1, 99))
    body = np.flatnonzero((plane > low + 0.1 * (high - low)).any(axis=0))
    first, last = (int(body[0]), int(body[-1])) if len(body) else (0, plane.shape[1] - 1)
    is_shown = np.ones(plane.shape, bool)
    if not is_whole:
        plane, is_shown = (array[:, (first + last) // 2 : last + 1] for array in (plane, is_shown))
    pixel_mm = (float(image.spacing_mm[1]), float(image.spacing_mm[0]))
    return Cut(plane, None, None, is_shown, pixel_mm)


def fronts(cut: Cut) -> dict[int, tuple[float, float]]:
    """Where each vertebra begins on the left of a cut: label -> row, column."""
    if cut.semantic is None or cut.instance is None:
        return {}
    found = {}
    is_body = _is_body(cut.semantic, cut.instance)
    for label in np.unique(cut.instance[cut.is_shown]):
        rows, columns = np.nonzero((cut.instance == label) & is_body)
        if label and len(rows):
            row = rows[np.argmin(np.abs(rows - np.median(rows)))]
            found[int(label)] = (float(row), float(columns[rows == row].min()))
    return found


def _is_body(semantic: np.ndarray, instance: np.ndarray) -> np.ndarray:
    is_body = np.isin(semantic, (*BODY, Semantic.DENS, Semantic.SACRUM))
    others = np.unique(instance[is_body])  # a C1 has no body: what is seen of it
    return is_body | ~np.isin(instance, others) | (instance == SACRUM)


def _front(middle: Middle, spacing_mm: np.ndarray) -> np.ndarray:
    return middle.body_p - IN_FRONT_MM / spacing_mm[0]


def _rows_of(middle: Middle, rows: np.ndarray) -> Middle:
    return Middle(
        middle.body_p[rows], middle.body_r[rows], middle.canal_p[rows], middle.canal_r[rows]
    )


def _between_slices(
    array: np.ndarray, at: tuple[np.ndarray, ...], across: np.ndarray
) -> np.ndarray:
    """Linear interpolation along the last axis."""
    below = np.floor(across).astype(int)
    above = np.minimum(below + 1, array.shape[2] - 1)
    share = across - below
    return (1 - share) * array[(*at, below)] + share * array[(*at, above)]


def _with_margin(first: int, last: int, margin: float, count: int) -> tuple[int, int]:
    return max(int(first - margin), 0), min(int(last + margin) + 1, count)
