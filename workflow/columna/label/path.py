"""Names from a labeller that judges every vertebra for itself: the most likely run of levels.

SPINEPS finds this path by a recursion that forgets how often a level was repeated, so that T12 can
come three times, and gives up on more vertebrae than classes (docs/method.md#path-of-a-labeller).
Here every level stands once in the order of `vertebra_labels`, T13 and L6 included, so the exact
path over (vertebra, level) needs no memory of repeats; forward and backward sums give the
probability of every name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

from columna.anatomy import L1, L5, T12, T13, levels, vertebra_labels
from columna.label.naming import NamedInstance, Naming
from columna.label.seen_spine import SeenSpine

RARE_STEPS = {(T12 - 1, L1): 0.04, (T12, T13): 0.04, (L5, L5 + 1): 0.04}
"""Steps of unusual spines (11 or 13 thoracic, 6 lumbar vertebrae) and their prior probability."""
UNSURE = 0.5
"""A vertebra whose name is less probable than this stays without one."""

Scores = Callable[[SeenSpine], np.ndarray]
"""Log probability of each level, in the order of `vertebra_labels`, for each of `SeenSpine.levels`
from top to bottom, shape (n, 26); they need not be normalised."""


@dataclass(frozen=True)
class ScoredNamer:
    """A namer around a labeller, for example a network that looks at `SeenSpine.image`."""

    scores: Scores

    def __call__(self, spine: SeenSpine) -> Naming:
        """Name every vertebra by the most likely path; unlikely names are not given."""
        names: dict[int, NamedInstance] = {}
        if 0 < len(spine.levels) <= len(vertebra_labels()):
            labels, probability = likely_path(self.scores(spine))
            for instance, label, p in zip(spine.levels, labels, probability, strict=True):
                if p >= UNSURE:
                    name = levels()[label].name
                    names[instance] = NamedInstance(instance, label, name, "labeller", round(p, 3))
        status = "named" if names else "no_anchor"
        facts = {"method": "labeller", "status": status, "anchors": ["labeller"] * bool(names)}
        return Naming.of(spine, names.values(), facts)


def likely_path(scores: np.ndarray) -> tuple[list[int], list[float]]:
    """Find the most likely run of levels from top to bottom.

    Parameters
    ----------
    scores
        Log probabilities, shape (n, 26), n at most 26.

    Returns
    -------
    list of int
        Label of each vertebra.
    list of float
        Probability of each name, given the scores of all vertebrae.
    """
    steps = _log_steps()
    best, back = [scores[0]], []
    for row in scores[1:]:
        reached = best[-1][:, None] + steps
        back.append(reached.argmax(axis=0))
        best.append(reached.max(axis=0) + row)
    path = [int(best[-1].argmax())]
    for previous in reversed(back):
        path.insert(0, int(previous[path[0]]))
    probability = _posterior(scores, steps)
    labels = vertebra_labels()
    return [labels[p] for p in path], [float(probability[i, p]) for i, p in enumerate(path)]


def _posterior(scores: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Probability of each level for each vertebra over all paths, shape (n, 26)."""
    above, below = [scores[0]], [np.zeros(scores.shape[1])]
    for row in scores[1:]:
        above.append(logsumexp(above[-1][:, None] + steps, axis=0) + row)
    for row in scores[:0:-1]:
        below.append(logsumexp(steps + row + below[-1], axis=1))
    joint = np.array(above) + np.array(below[::-1])
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def _log_steps() -> np.ndarray:
    """Log prior probability of a step from one level (row) to the next (column), (26, 26)."""
    labels = vertebra_labels()
    chances = np.zeros((len(labels),) * 2)
    for upper, lower in pairwise(labels):
        chances[labels.index(upper), labels.index(lower)] = 1.0
    chances[labels.index(T12), labels.index(L1)] = 1.0
    for (upper, lower), chance in RARE_STEPS.items():
        chances[labels.index(upper)] *= 1 - chance
        chances[labels.index(upper), labels.index(lower)] = chance
    with np.errstate(divide="ignore"):
        return np.log(chances)
