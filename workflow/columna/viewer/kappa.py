"""Agreement of raters: Cohen's kappa of two, Fleiss' kappa of more."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from columna.domains import DOMAINS
from columna.review.decisions import RATE, RATINGS, Decision, in_force


@dataclass(frozen=True)
class RaterAgreement:
    """How far raters agree on one domain.

    Parameters
    ----------
    domain
        What was rated.
    raters
        Who.
    scans_n
        Scans that all of them have rated; only these count.
    agree_ratio
        Share of pairs of ratings of a scan that are equal; None without scans.
    kappa
        Cohen's (two raters) or Fleiss' (more); None where it is not defined: without scans, or
        where all ratings are the same.
    weighted
        Cohen's with linear weights, for which good is closer to usable than to bad; None as
        `kappa`, and for more than two raters.
    """

    domain: str
    raters: tuple[str, ...]
    scans_n: int
    agree_ratio: float | None
    kappa: float | None
    weighted: float | None


def agreements(decisions: Iterable[Decision]) -> list[RaterAgreement]:
    """Agreement of all raters of each domain, and of each pair where there are more than two."""
    found: dict[str, dict[str, dict[str, str]]] = {domain: {} for domain in DOMAINS}
    for decision in in_force(decisions):
        if decision.decision == RATE:
            by_rater = found[decision.domain].setdefault(decision.rater, {})
            by_rater[decision.scan_id] = decision.value
    return [
        _agreement(domain, group, by_rater)
        for domain, by_rater in found.items()
        for group in _groups(sorted(by_rater))
    ]


def agreement_lines(found: Sequence[RaterAgreement]) -> list[str]:
    """`found` for a person."""
    if not found:
        return ["No domain has ratings of two raters."]
    lines = ["domain      scans  equal  kappa           weighted  raters"]
    for one in found:
        kind = "Cohen" if len(one.raters) == 2 else "Fleiss"
        kappa = "-" if one.kappa is None else f"{one.kappa:.3f} ({kind})"
        equal = "-" if one.agree_ratio is None else f"{one.agree_ratio:.3f}"
        weighted = "-" if one.weighted is None else f"{one.weighted:.3f}"
        raters = ", ".join(one.raters)
        lines.append(
            f"{one.domain:<11} {one.scans_n:>5}  {equal:>5}  {kappa:<14}  {weighted:>8}  {raters}"
        )
    return [*lines, "- : not defined (no scan that all have rated, or all ratings are the same)"]


def cohen(a: Sequence[str], b: Sequence[str], weights: str | None = None) -> float | None:
    """Cohen's kappa of the ratings `a` and `b` of the same scans; None where it is not defined.

    Cohen, Educational and Psychological Measurement 1960; with ``weights="linear"`` as in Cohen,
    Psychological Bulletin 1968.
    """
    from sklearn.metrics import cohen_kappa_score

    if not a or len({*a, *b}) == 1:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ratings that nobody gave
        return float(cohen_kappa_score(a, b, labels=list(RATINGS), weights=weights))


def fleiss(counts: np.ndarray) -> float | None:
    """Fleiss' kappa; None where it is not defined.

    Fleiss, Psychological Bulletin 1971, equations 1 to 7.

    Parameters
    ----------
    counts
        How many raters gave a scan a rating, shape (scans, ratings); as many for every scan.
    """
    if not len(counts):
        return None
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares**2).sum())
    if by_chance == 1:
        return None
    return (agreeing(counts) - by_chance) / (1 - by_chance)


def agreeing(counts: np.ndarray) -> float:
    """Share of equal pairs of ratings, over all scans; `counts` as in `fleiss`."""
    raters = counts.sum(axis=1)
    return float(((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))).mean())


def _groups(raters: Sequence[str]) -> list[tuple[str, ...]]:
    pairs = list(combinations(raters, 2))
    return [tuple(raters), *pairs] if len(pairs) > 1 else [*pairs]


def _agreement(
    domain: str, raters: tuple[str, ...], by_rater: dict[str, dict[str, str]]
) -> RaterAgreement:
    common = sorted(set.intersection(*(set(by_rater[rater]) for rater in raters)))
    ratings = [[by_rater[rater][scan] for scan in common] for rater in raters]
    counts = np.array(
        [[given.count(value) for value in RATINGS] for given in zip(*ratings, strict=True)]
    )
    equal = agreeing(counts) if common else None
    if len(raters) > 2:
        return RaterAgreement(domain, raters, len(common), equal, fleiss(counts), None)
    a, b = ratings
    return RaterAgreement(domain, raters, len(common), equal, cohen(a, b), cohen(a, b, "linear"))
