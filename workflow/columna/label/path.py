"""The level of every body: all runs of levels are summed up, exactly.

A run calls every body a level or a false piece, from top to bottom without repeats; levels between
two bodies may have been missed. Sums from above and from below (forward-backward) over bodies,
ranks and spines give the probability of every name without listing the runs. (SPINEPS finds one
path by a recursion that forgets how often a level was repeated, so that T12 can come three times:
docs/differences.md#w5.)
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from columna.label.model import LABELS, MOST_FALSE, MOST_MISSED, RANKS, Likelihoods, cord_start

EXCLUDED = 1e-12
"""A less probable variant is ruled out, not just unlikely by its shapes."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Probabilities given all that was seen of n bodies.

    Parameters
    ----------
    level
        That a body is a level, in the order of `columna.label.model.LABELS`, (n, 27).
    false
        That a body is no vertebra, (n,).
    variant
        Of the variants of the spine, in the order of `Spines.counts`, (9,).
    first, last
        That a body is the first, or the last, true vertebra above the sacrum, (n,).
    ends_in_sacrum
        That no level is missing between the last vertebra found and the sacrum.
    log_evidence
        Log likelihood of everything that was seen, up to a constant.
    """

    level: np.ndarray
    false: np.ndarray
    variant: np.ndarray
    first: np.ndarray
    last: np.ndarray
    ends_in_sacrum: float
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Sums:
    """Probabilities of bodies (n) as levels (r) of spines (v), sizes summed up.

    Parameters
    ----------
    seen
        What they are given.
    joint, opens, closes
        That a body is a level; that it is and begins the chain, or ends it; (n, v, r).
    log_evidence
        Log likelihood of everything that was seen.
    """

    seen: Likelihoods
    joint: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    log_evidence: float

    def posterior(self, *, is_counted: bool = True) -> Posterior:
        """Sum up over variants.

        Unless the spine `is_counted` from end to end, no unusual variant is less probable than it
        usually is: shapes tell where the thoracic spine ends, or the sacrum begins, less well than
        they seem to (Tins 2016, Tokgoz 2014).
        """
        variant = self.closes.sum(axis=(0, 2))
        weight = np.ones(len(variant))
        if not is_counted and variant.sum() > 0:
            usual = np.exp(logsumexp(self.seen.spines.log_prior, axis=1))
            usual[np.argmax(usual)] = 0  # the spine that most people have needs no protection
            wanted = _not_below(variant / variant.sum(), np.where(variant > EXCLUDED, usual, 0))
            np.divide(wanted * variant.sum(), variant, out=weight, where=variant > 0)
        each = weight[:, None]
        joint, opens, closes = self.joint * each, self.opens * each, self.closes * each
        return _posterior(self.seen, joint, opens, closes, self.log_evidence)


def _not_below(variant: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Probabilities of variants, none below `least`; the others keep their proportions."""
    wanted, raised = variant, np.zeros(len(variant), bool)
    for _ in range(len(variant)):
        raised |= wanted < least
        rest = (1 - least[raised].sum()) / variant[~raised].sum()
        wanted = np.where(raised, least, rest * variant)
    return wanted


def infer(seen: Likelihoods) -> Sums:
    """Sum over all runs of levels, all spines and all false pieces."""
    count = len(seen.false)
    before = np.concatenate([[0.0], np.cumsum(seen.false)])
    """Entry j: all bodies above j are false."""
    begin = seen.start + cord_start(seen.spines, seen.evidence) + seen.spines.log_prior[..., None]
    begin = begin + before[:-1, None, None, None]
    finish = seen.end + (before[-1] - before[1:])[:, None, None, None]
    steps = {
        (i, j): seen.step(i, j) + before[j] - before[i + 1]
        for j in range(count)
        for i in range(max(j - MOST_FALSE - 1, 0), j)
    }
    above = _from_above(seen.level, begin, steps)
    below = _from_below(seen.level, finish, steps)
    total = np.logaddexp(logsumexp(above + finish), before[-1])
    joint, opens, closes = (
        np.exp(part - total).sum(axis=2)
        for part in (above + below, begin + seen.level + below, above + finish)
    )
    return Sums(seen, joint, opens, closes, float(total))


def _posterior(
    seen: Likelihoods, joint: np.ndarray, opens: np.ndarray, closes: np.ndarray, total: float
) -> Posterior:
    level = np.zeros((len(joint), len(LABELS)))
    for place, label in enumerate(LABELS):
        level[:, place] = joint[:, seen.spines.label == label].sum(axis=1)
    below_last = np.arange(RANKS) - seen.spines.last[:, None]
    variant = closes.sum(axis=(0, 2))
    prior = np.exp(logsumexp(seen.spines.log_prior, axis=1))
    ends = float(closes[:, (below_last == 0) | (below_last == 1)].sum())
    return Posterior(
        level=level,
        false=np.clip(1 - level.sum(axis=1), 0, 1),
        variant=variant + (1 - variant.sum()) * prior,
        first=opens.sum(axis=(1, 2)),
        last=closes[:, below_last < 1].sum(axis=1),
        ends_in_sacrum=ends if seen.evidence.has_sacrum else 0.0,
        log_evidence=total,
    )


def _from_above(
    level: np.ndarray, begin: np.ndarray, steps: dict[tuple[int, int], np.ndarray]
) -> np.ndarray:
    """Log sum of all runs that end at a body and level, (n, v, s, r)."""
    above = np.empty_like(level)
    for j in range(len(level)):
        reached = [begin[j]]
        for i in range(j):
            if (i, j) in steps:
                come = above[i][..., None] + steps[i, j]
                reached += [_down(come[..., m], m + 1) for m in range(MOST_MISSED + 1)]
        above[j] = logsumexp(reached, axis=0) + level[j]
    return above


def _from_below(
    level: np.ndarray, finish: np.ndarray, steps: dict[tuple[int, int], np.ndarray]
) -> np.ndarray:
    """Log sum of all runs that go on below a body and level, (n, v, s, r)."""
    below = np.empty_like(level)
    for i in reversed(range(len(level))):
        goes_on = [finish[i]]
        for j in range(i + 1, len(level)):
            if (i, j) in steps:
                rest = level[j] + below[j]
                step = np.broadcast_to(steps[i, j], (*rest.shape, MOST_MISSED + 1))
                goes_on += [_up(rest, m + 1) + step[..., m] for m in range(MOST_MISSED + 1)]
        below[i] = logsumexp(goes_on, axis=0)
    return below


def _down(ranks: np.ndarray, by: int) -> np.ndarray:
    """Move the last axis by so many ranks downwards; -inf comes in from above."""
    moved = np.full_like(ranks, -np.inf)
    moved[..., by:] = ranks[..., :-by]
    return moved


def _up(ranks: np.ndarray, by: int) -> np.ndarray:
    moved = np.full_like(ranks, -np.inf)
    moved[..., :-by] = ranks[..., by:]
    return moved
