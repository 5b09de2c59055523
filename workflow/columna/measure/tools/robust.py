"""Robust straight lines, planes and parabolas: least squares with Huber weights."""

from dataclasses import dataclass

import numpy as np

HUBER_MM = 0.4
"""Residuals beyond this count less (docs/measures.md#g3)."""
_ITERATIONS = 12


@dataclass(frozen=True, eq=False)
class Fit:
    """Coefficients of a linear model, shape (p,), and root mean square of all its residuals."""

    coefficients: np.ndarray
    rms: float


def huber_fit(design: np.ndarray, values: np.ndarray, limit: float = HUBER_MM) -> Fit | None:
    """Fit ``design @ coefficients`` to `values`, with less weight on residuals beyond `limit`.

    Parameters
    ----------
    design
        Shape (n, p).
    values
        Shape (n,), finite.

    Returns
    -------
    Fit or None
        None with fewer than 2 p values.
    """
    if len(values) < 2 * design.shape[1]:
        return None
    weights = np.ones(len(values))
    coefficients = np.zeros(design.shape[1])
    for _ in range(_ITERATIONS):
        before = coefficients
        weighted = design * weights[:, None]
        normal, moment = weighted.T @ design, weighted.T @ values
        coefficients = np.linalg.lstsq(normal, moment, rcond=None)[0]
        residuals = values - design @ coefficients
        weights = limit / np.maximum(np.abs(residuals), limit)
        if np.abs(coefficients - before).max() < 1e-9:
            break
    return Fit(coefficients, float(np.sqrt(np.mean(residuals**2))))


def finite_median(values: np.ndarray) -> float:
    """Median of the finite ones of `values`, NaN without any; much faster than numpy's on few."""
    ordered = np.sort(values[np.isfinite(values)])
    n = len(ordered)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else float("nan")


def row_medians(values: np.ndarray) -> np.ndarray:
    """Median of the finite values of each row, shape (k, n) -> (k,); NaN in rows without any."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    n = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(ordered))
    return (ordered[row, np.maximum(n - 1, 0) // 2] + ordered[row, n // 2]) / 2
