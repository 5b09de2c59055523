"""Phase-2 subjects: the masks of a real scan, bent a little."""

import numpy as np
from scipy import ndimage

from columna.images.triple import Triple
from columna.train.labels import LABEL_OF
from columna.train.samples.real_scans import RealScan
from columna.train.samples.subject import SubjectMasks

ZOOM_SD, SHEAR_SD, TURN_SD_DEG = 0.08, 0.03, 6.0


def bent_masks(scan: RealScan, spacing_mm: Triple, rng: np.random.Generator) -> SubjectMasks:
    """Masks of a fully labelled scan on a grid of `spacing_mm`, zoomed, sheared and turned."""
    if scan.instance is None:
        raise ValueError("the scan has no instances")
    matrix, start, shape = _bend(scan, np.asarray(spacing_mm), rng)
    codes, instance = (
        ndimage.affine_transform(array, matrix, start, shape, order=0)
        for array in (scan.codes, scan.instance)
    )
    return SubjectMasks(LABEL_OF[codes], instance)


def _bend(
    scan: RealScan, spacing_mm: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Lookup from a new grid into `scan`, turned within the slices, zoomed and sheared."""
    zoom = np.exp(rng.normal(0, ZOOM_SD, 3))
    turn = np.deg2rad(rng.normal(0, TURN_SD_DEG))
    mm = np.diag(zoom)
    mm[:2, :2] = mm[:2, :2] @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    mm[:2, :2] += rng.normal(0, SHEAR_SD, (2, 2))
    matrix = np.diag(1 / scan.spacing_mm) @ mm @ np.diag(spacing_mm)
    shape = np.maximum(np.round(np.array(scan.codes.shape) * scan.spacing_mm / spacing_mm), 1)
    middle = (np.array(scan.codes.shape) - 1) / 2
    return matrix, middle - matrix @ ((shape - 1) / 2), tuple(int(n) for n in shape)
