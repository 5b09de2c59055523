"""Paired comparison of two programs: Wilcoxon's test, effect size, shift, non-inferiority.

The unit is the participant: average scans and instances of a participant before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Vector = NDArray[np.float64]

EXACT_UP_TO = 50
"""Pairs up to which the distribution of the signed-rank statistic is counted, not approximated."""


@dataclass(frozen=True)
class Comparison:
    """What the paired differences ``a - b`` say.

    Parameters
    ----------
    n
        Pairs in which both values are known.
    n_nonzero
        Pairs that differ; the test looks at these alone.
    statistic
        Sum of the ranks of the positive differences; None where no pair differs.
    p
        Two-sided; 1 where no pair differs, None without pairs.
    rank_biserial
        Effect size, -1 (b is larger in all pairs) to 1; 0 where no pair differs.
    shift
        Hodges-Lehmann estimate of the difference: the median of all Walsh averages.
    shift_low, shift_high
        Its confidence interval; None with too few pairs for the confidence that was asked for.
    """

    n: int
    n_nonzero: int
    statistic: float | None
    p: float | None
    rank_biserial: float | None
    shift: float | None
    shift_low: float | None
    shift_high: float | None

    def is_non_inferior(self, margin: float) -> bool | None:
        """Whether `a` is at most `margin` below `b`; None where the interval is not known.

        The test is one-sided, at half of one minus the interval's confidence.
        """
        return None if self.shift_low is None else self.shift_low > -margin


def compare_paired(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Comparison:
    """Compare two programs on the same participants.

    Parameters
    ----------
    a, b
        One value per participant, in the same order; pairs with a NaN are left out.
    confidence
        Of the interval of the shift.

    Returns
    -------
    Comparison

    Notes
    -----
    Pairs without a difference are dropped from the test (Wilcoxon, Biometrics Bulletin 1945), and
    kept in the estimate of the shift (Hollander and Wolfe, Nonparametric Statistical Methods,
    section 3.2). Equal inputs give p = 1 and no difference.
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"paired values must be two equally long lists: {first.shape}, {second.shape}"
        )
    differences = first - second
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return Comparison(0, 0, None, None, None, None, None, None)
    nonzero = differences[differences != 0]
    low, high = _shift_interval(differences, confidence)
    statistic, p, effect = _signed_rank(nonzero)
    return Comparison(
        n=len(differences),
        n_nonzero=len(nonzero),
        statistic=statistic,
        p=p,
        rank_biserial=effect,
        shift=float(np.median(walsh_averages(differences))),
        shift_low=low,
        shift_high=high,
    )


def _signed_rank(nonzero: Vector) -> tuple[float | None, float, float]:
    if not len(nonzero):
        return None, 1.0, 0.0
    ranks = stats.rankdata(np.abs(nonzero))
    positive, negative = ranks[nonzero > 0].sum(), ranks[nonzero < 0].sum()
    has_ties = len(np.unique(ranks)) < len(ranks)
    method: Literal["exact", "approx"] = "approx"
    if len(nonzero) <= EXACT_UP_TO and not has_ties:
        method = "exact"
    p = stats.wilcoxon(nonzero, method=method, correction=method == "approx").pvalue
    return float(positive), min(float(p), 1.0), float((positive - negative) / ranks.sum())


def walsh_averages(differences: Vector) -> Vector:
    """Averages of all pairs of differences, each with itself too, sorted."""
    first, second = np.triu_indices(len(differences))
    return np.sort((differences[first] + differences[second]) / 2)


def _shift_interval(differences: Vector, confidence: float) -> tuple[float | None, float | None]:
    """Walsh averages beyond which the signed-rank test rejects."""
    n = len(differences)
    averages = walsh_averages(differences)
    tail = (1 - confidence) / 2
    if n <= EXACT_UP_TO:
        rank = int(np.searchsorted(_cumulated(n), tail, side="right"))
    else:
        mean, variance = n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24
        rank = int(np.floor(mean + stats.norm.ppf(tail) * np.sqrt(variance)))
    if rank < 1:
        return None, None
    return float(averages[rank - 1]), float(averages[-rank])


def _cumulated(n: int) -> Vector:
    """P(statistic <= k) of the signed-rank statistic of `n` pairs, for every k."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return np.cumsum(ways / 2.0**n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p values of one family of hypotheses (Holm, Scand J Statist 1979).

    Parameters
    ----------
    p_values
        Hypothesis -> p.

    Returns
    -------
    dict
        Hypothesis -> adjusted p, in the order given.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
