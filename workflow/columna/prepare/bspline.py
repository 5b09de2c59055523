"""Cubic B-splines on regular grids, one axis at a time.

A field over a box is a lattice of control points: along each axis, n spans have n + 3 of them.
Fitting and evaluating are products of one small matrix per axis. The matrices are sparse (a point
sees four control points); besides, products of dense ones depend on the number of threads.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

ORDER = 3


def basis(positions: np.ndarray, n_spans: int) -> csr_array:
    """Weights of the control points at `positions`.

    Parameters
    ----------
    positions
        In spans, 0 to `n_spans`, shape (m,).
    n_spans
        Spans of the axis.

    Returns
    -------
    csr_array
        float64, shape (m, n_spans + 3), every row sums to one.
    """
    distance = np.abs(positions[:, None] - np.arange(-1, n_spans + ORDER - 1))
    near = (4 - 6 * distance**2 + 3 * distance**3) / 6
    return csr_array(np.where(distance < 1, near, np.maximum(2 - distance, 0) ** 3 / 6))


def fitting(weights: csr_array) -> csr_array:
    """Matrix that turns values on a grid into control points, along one axis.

    Lee, Wolberg & Shin (1997), eq. 3 to 5: every point asks its control points for the smallest
    values that give its own, and a control point takes the mean of what it is asked for, weighted
    with the squares of its weights. On a grid all these weights are products over the axes.

    Parameters
    ----------
    weights
        `basis` at the points of the grid, shape (m, c).

    Returns
    -------
    csr_array
        Shape (c, m); zeros for control points that no point sees.
    """
    dense = weights.toarray().T
    squares = dense**2
    asked = dense * squares / squares.sum(axis=0)
    seen = squares.sum(axis=1, keepdims=True)
    return csr_array(np.divide(asked, seen, out=np.zeros_like(asked), where=seen > 0))


def refining(n_spans: int) -> csr_array:
    """Matrix to the control points of the same curve with half the knot spacing.

    Returns
    -------
    csr_array
        Shape (2 x `n_spans` + 3, `n_spans` + 3).
    """
    fine, coarse = np.ogrid[: 2 * n_spans + ORDER, : n_spans + ORDER]
    # a cubic B-spline is made of five half as wide, with weights 1, 4, 6, 4, 1 (over 8)
    distance = np.minimum(np.abs(fine + 1 - 2 * coarse), 3)
    return csr_array(np.array([6, 4, 1, 0])[distance] / 8)


def along_axes(array: np.ndarray, matrices: Sequence[csr_array]) -> np.ndarray:
    """Multiply every axis of `array` by its matrix.

    Parameters
    ----------
    array
        Shape (n_0, n_1, ...).
    matrices
        One for each axis, shapes (m_0, n_0), (m_1, n_1), ...

    Returns
    -------
    ndarray
        Shape (m_0, m_1, ...).
    """
    for matrix in matrices:
        # replaces the first axis and puts it last: in the end the order is right
        others = array.shape[1:]
        array = (matrix @ array.reshape(len(array), -1)).T.reshape(*others, -1)
    return array
