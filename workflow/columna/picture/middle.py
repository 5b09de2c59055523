"""Where the middle of the spine runs, so that a plane can follow it.

Arrays are in (P, I, R); positions are voxels of the array. A row is one place along I.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from columna.anatomy import BODY, CANAL, SACRUM, Semantic
from columna.images.volume import Volume
from columna.label.components import centres_of

SMOOTH_MM = 10.0
"""The middle of the canal is averaged along the spine with a Gaussian of this SD."""
LEAST_DEPTH_MM = 8.0
STEEPEST = 0.6
"""Largest sideways step of the plane per step from body to canal: 31 degrees of rotation."""
BEFORE, BEHIND = -1.0, 2.0
"""From where to where the plane turns with a vertebra; 0 = middle of body, 1 = of canal."""


@dataclass(frozen=True, eq=False)
class Middle:
    """Centres of bodies and of the canal in every row, in voxels, shape (rows,) each.

    Parameters
    ----------
    body_p, body_r
        Centre of the bodies, towards posterior and right.
    canal_p, canal_r
        Centre of the canal.
    """

    body_p: np.ndarray
    body_r: np.ndarray
    canal_p: np.ndarray
    canal_r: np.ndarray


def find_middle(semantic: Volume, instance: Volume, labels: Sequence[int]) -> Middle | None:
    """Follow the bodies of `labels` and the canal through the rows of a grid.

    Parameters
    ----------
    semantic, instance
        Masks in (P, I, R).
    labels
        Instance labels of the vertebrae, without fragments; the sacrum counts as well.

    Returns
    -------
    Middle or None
        None without any body and canal.
    """
    canal = _canal(semantic)
    bodies = _bodies(semantic, instance, labels)
    line = _through(bodies, semantic.shape[1]) if len(bodies) else canal
    return None if line is None else Middle(*line, *(canal or line))


def _through(bodies: np.ndarray, rows_n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions along P and R of the line through the bodies, in every row."""
    rows = np.arange(rows_n)
    p, r = (np.interp(rows, bodies[:, 1], bodies[:, axis]) for axis in (0, 2))
    return p, r


def sagittal_plane(middle: Middle, columns: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Right-left position of the plane through bodies and canal.

    In every row it goes through the centre of the body and that of the canal, so that it turns
    with a vertebra that is rotated, and on straight from where the vertebra ends.

    Parameters
    ----------
    middle
        The spine's.
    columns
        Positions along P, shape (p,).
    spacing_mm
        Of the grid, (P, I, R).

    Returns
    -------
    numpy.ndarray
        Voxels along R, shape (p, rows).
    """
    depth = middle.canal_p - middle.body_p
    least = LEAST_DEPTH_MM / spacing_mm[0]
    has_depth = depth >= least
    limit = STEEPEST * np.abs(depth) * spacing_mm[0] / spacing_mm[2]
    step = np.where(has_depth, np.clip(middle.canal_r - middle.body_r, -limit, limit), 0.0)
    share = (columns[:, None] - middle.body_p) / np.where(has_depth, depth, least)
    return middle.body_r + np.clip(share, BEFORE, BEHIND) * step


def _bodies(semantic: Volume, instance: Volume, labels: Sequence[int]) -> np.ndarray:
    """Centres of bodies from the top, (P, I, R), shape (n, 3), no two in one row."""
    is_body = np.isin(semantic.array, (*BODY, Semantic.SACRUM))
    wanted = np.where(is_body, instance.array, 0)
    voxels, centres = centres_of(np.ascontiguousarray(wanted), int(wanted.max(initial=0)))
    known = [n for n in {*labels, SACRUM} if n < len(voxels) and voxels[n]]
    found = centres[sorted(known, key=lambda n: centres[n][1])]
    return found.reshape(-1, 3)


def _canal(semantic: Volume) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre of the canal in every row, towards posterior and right; ends go on straight."""
    inside = np.isin(semantic.array, CANAL)
    counts = inside.sum(axis=(0, 2))
    rows = np.flatnonzero(counts)
    if not len(rows):
        return None
    everywhere = np.arange(len(counts))
    centres = []
    for other in (2, 0):
        profile = inside.sum(axis=other)  # (P, I) or (I, R)
        profile = profile if other == 2 else profile.T
        mean = (np.arange(len(profile))[:, None] * profile).sum(axis=0)[rows] / counts[rows]
        filled = np.interp(everywhere, rows, mean)
        sigma = SMOOTH_MM / semantic.spacing_mm[1]
        centres.append(ndimage.gaussian_filter1d(filled, sigma, mode="nearest"))
    return centres[0], centres[1]
