"""Robust straight lines, planes and parabolas: least squares with Huber weights."""

from dataclasses import dataclass

import numpy as np

HUBER_MM = 0.4
"""Residuals beyond this count less (morphometrics G3)."""
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
