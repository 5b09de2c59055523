"""Agreement of two measurements of the same things: bias, limits, intraclass correlation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Matrix = NDArray[np.float64]

FEWEST = 3
"""Pairs below which nothing is estimated."""


@dataclass(frozen=True)
class Icc:
    """An intraclass correlation with its 95 % interval; None where the data allow no interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Agreement:
    """How two measurements of the same things agree, in the unit of the measure.

    Parameters
    ----------
    n
        Pairs in which both values are known.
    bias
        Mean of ``b - a``.
    bias_low, bias_high
        Its 95 % interval.
    sd_difference
        Standard deviation of the differences.
    limit_low, limit_high
        95 % limits of agreement: bias -+ 1.96 SD.
    smallest_detectable_change
        1.96 x sqrt(2) x standard error of measurement, with the systematic difference left out.
    icc_agreement
        ICC(2,1): both measurements are random, the systematic difference counts as error.
    icc_consistency
        ICC(3,1): the systematic difference does not count.
    bias_slope
        Slope of the difference over the mean of both: a bias that grows with the size.

    Notes
    -----
    Bland and Altman, Lancet 1986; Shrout and Fleiss, Psychological Bulletin 1979, for both ICC;
    McGraw and Wong, Psychological Methods 1996, for their intervals; de Vet et al., Health and
    Quality of Life Outcomes 2006, for the smallest detectable change.
    """

    n: int
    bias: float
    bias_low: float
    bias_high: float
    sd_difference: float
    limit_low: float
    limit_high: float
    smallest_detectable_change: float
    icc_agreement: Icc | None
    icc_consistency: Icc | None
    bias_slope: float | None


def agreement(a: ArrayLike, b: ArrayLike) -> Agreement | None:
    """Compare the measurements `b` with the measurements `a` of the same things.

    Parameters
    ----------
    a, b
        One value per thing, in the same order; pairs with a NaN are left out.

    Returns
    -------
    Agreement or None
        None with fewer than three pairs.
    """
    pairs = np.column_stack([np.asarray(a, float), np.asarray(b, float)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    n = len(pairs)
    if n < FEWEST:
        return None
    differences = pairs[:, 1] - pairs[:, 0]
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * sd / np.sqrt(n)
    return Agreement(
        n=n,
        bias=bias,
        bias_low=bias - half,
        bias_high=bias + half,
        sd_difference=sd,
        limit_low=bias - 1.96 * sd,
        limit_high=bias + 1.96 * sd,
        # The standard error of measurement of one of two equally good measurements is SD / sqrt(2).
        smallest_detectable_change=1.96 * sd,
        icc_agreement=icc_agreement(pairs),
        icc_consistency=icc_consistency(pairs),
        bias_slope=_slope(pairs.mean(axis=1), differences),
    )


@dataclass(frozen=True)
class _MeanSquares:
    """Two-way analysis of variance without replication."""

    subjects_n: int
    raters_n: int
    subjects: float
    raters: float
    error: float

    @classmethod
    def of(cls, ratings: Matrix) -> "_MeanSquares":
        n, k = ratings.shape
        grand = ratings.mean()
        subjects = k * ((ratings.mean(axis=1) - grand) ** 2).sum()
        raters = n * ((ratings.mean(axis=0) - grand) ** 2).sum()
        error = ((ratings - grand) ** 2).sum() - subjects - raters
        return cls(
            n, k, subjects / (n - 1), raters / (k - 1), max(error, 0.0) / ((n - 1) * (k - 1))
        )


def icc_consistency(ratings: Matrix) -> Icc | None:
    """ICC(3,1) of `ratings`, subjects x raters; None where nothing varies."""
    ms = _MeanSquares.of(ratings)
    k, n = ms.raters_n, ms.subjects_n
    if ms.subjects == 0 and ms.error == 0:
        return None
    if ms.error == 0:
        return Icc(1.0, 1.0, 1.0)
    ratio = ms.subjects / ms.error
    low = ratio / stats.f.ppf(0.975, n - 1, (n - 1) * (k - 1))
    high = ratio * stats.f.ppf(0.975, (n - 1) * (k - 1), n - 1)
    return Icc(*(float((f - 1) / (f + k - 1)) for f in (ratio, low, high)))


def icc_agreement(ratings: Matrix) -> Icc | None:
    """ICC(2,1) of `ratings`, subjects x raters; None where nothing varies."""
    ms = _MeanSquares.of(ratings)
    k, n = ms.raters_n, ms.subjects_n
    total = ms.subjects + (k - 1) * ms.error + k * (ms.raters - ms.error) / n
    if total <= 0:
        return None
    value = (ms.subjects - ms.error) / total
    if ms.error == 0 and ms.raters == 0:
        return Icc(1.0, 1.0, 1.0)
    low, high = _agreement_interval(ms, value)
    return Icc(float(value), low, high)


def _agreement_interval(ms: _MeanSquares, value: float) -> tuple[float | None, float | None]:
    """McGraw and Wong's interval of ICC(2,1), with Satterthwaite's degrees of freedom.

    It uses mean squares instead of their ratio, which may divide by 0.
    """
    n, k = ms.subjects_n, ms.raters_n
    rest = n * (1 + (k - 1) * value) - k * value
    by_raters, by_error = k * value * ms.raters, rest * ms.error
    spread = by_raters**2 / (k - 1) + by_error**2 / ((n - 1) * (k - 1))
    freedom = (by_raters + by_error) ** 2 / spread if spread > 0 else 0.0
    if freedom < 1:
        return None, None
    upper, lower = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    between = k * ms.raters + (k * n - k - n) * ms.error
    low = n * (ms.subjects - upper * ms.error) / (upper * between + n * ms.subjects)
    high = n * (lower * ms.subjects - ms.error) / (between + n * lower * ms.subjects)
    return float(low), float(high)


def _slope(x: Matrix, y: Matrix) -> float | None:
    spread = ((x - x.mean()) ** 2).sum()
    return float(((x - x.mean()) * (y - y.mean())).sum() / spread) if spread > 0 else None
