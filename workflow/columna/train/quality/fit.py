"""Fit forests to structures, and calibrate the bounds by patient.

Every patient is predicted by a forest that never saw the patient (cross-conformal prediction:
Barber et al., Predictive inference with the jackknife+, Annals of Statistics 2021;49(1):486,
section 3.1). The margin is the quantile of how far such predictions lay above the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from columna.evaluate.paired import Vector
from columna.predict.forest import tree_as_lists
from columna.predict.quality_model import ALL, COVERAGE, FORMAT, OTHER_WEIGHTS, log_odds
from columna.predict.signs import KINDS
from columna.train.quality.known_structures import Structure

TREES = 100
LEAST_LEAF = 4
DEPTH = 9
LEAST_STRATUM = 100
"""Structures that a margin of its own needs."""
OTHER_COVERAGE = 0.99
"""Of the bound for weights that nothing was calibrated for: their errors are not known."""
WIDER = 2.0
"""And it is at least so many times as wide."""
REAL_WEIGHT = 3.0
"""Persons are few among phantoms, and what the model is for."""


class KindData:
    """Structures of one kind as arrays; rows in the order of `structures`."""

    def __init__(self, structures: Sequence[Structure]) -> None:
        self.names = tuple(structures[0].features)
        self.values = np.array([[s.features[n] for n in self.names] for s in structures], float)
        self.dice = np.array([s.dice for s in structures])
        self.target = log_odds(self.dice)
        self.patient = np.array([s.patient for s in structures])
        self.stratum = np.array([s.stratum for s in structures])
        self.is_real = np.array([s.is_real for s in structures])

    def fill(self, rows: NDArray[np.bool_]) -> Vector:
        """Median of every feature over `rows`; 0 where none is known."""
        known = np.where(np.isfinite(self.values[rows]), self.values[rows], np.nan)
        empty = np.isnan(known).all(axis=0)
        known[:, empty] = 0.0
        return np.nanmedian(known, axis=0)

    def filled(self, fill: Vector) -> NDArray[np.float64]:
        """Features without gaps."""
        return np.where(np.isfinite(self.values), self.values, fill)


def fit(data: KindData, rows: NDArray[np.bool_]) -> tuple[Any, Vector]:
    """A forest of scikit-learn that learned from `rows`, and what fills gaps."""
    from sklearn.ensemble import ExtraTreesRegressor

    fill = data.fill(rows)
    forest = ExtraTreesRegressor(
        TREES, min_samples_leaf=LEAST_LEAF, max_depth=DEPTH, random_state=0, n_jobs=1
    )
    weight = np.where(data.is_real[rows], REAL_WEIGHT, 1.0)
    forest.fit(data.filled(fill)[rows], data.target[rows], sample_weight=weight)
    return forest, fill


def held_out(data: KindData) -> Vector:
    """Log odds of every structure as predicted by a forest that never saw the patient."""
    found = np.full(len(data.dice), np.nan)
    for patient in np.unique(data.patient):
        test = data.patient == patient
        if test.all():
            raise ValueError("predicted quality needs scans of two patients or more")
        forest, fill = fit(data, ~test)
        found[test] = forest.predict(data.filled(fill)[test])
    return found


def margin_of(excess: Vector, coverage: float = COVERAGE) -> float:
    """Quantile of `excess` that covers one more of the same kind with this probability."""
    rank = int(np.ceil((len(excess) + 1) * coverage))
    return float(np.sort(excess)[min(rank, len(excess)) - 1])


def margins(excess: Vector, strata: NDArray[np.str_]) -> dict[str, float]:
    """How far bounds lie below predictions: of all, of strata, and for other weights."""
    found = {ALL: margin_of(excess)}
    wide = max(margin_of(excess, OTHER_COVERAGE), WIDER * found[ALL])
    for name in np.unique(strata):
        mine = excess[strata == name]
        if len(mine) >= LEAST_STRATUM:
            found[str(name)] = margin_of(mine)
    return {**found, OTHER_WEIGHTS: max(wide, *found.values())}


def fit_model(
    structures: Sequence[Structure], weights: tuple[str, str], held: Mapping[str, Vector]
) -> dict[str, Any]:
    """Content of a model file (`columna.predict.quality_model.write_model`).

    Parameters
    ----------
    structures
        What it learns from.
    weights
        Digests of the models that found them.
    held
        Kind -> answer of `held_out`.
    """
    kinds = {}
    for kind in KINDS:
        data = KindData([s for s in structures if s.kind == kind])
        everyone = np.ones(len(data.dice), bool)
        forest, fill = fit(data, everyone)
        excess = held[kind] - data.target
        kinds[kind] = {
            "features": list(data.names),
            "fill": fill.round(6).tolist(),
            "margin": {n: round(v, 6) for n, v in margins(excess, data.stratum).items()},
            "structures": len(data.dice),
            "trees": [tree_as_lists(tree.tree_) for tree in forest.estimators_],
        }
    return {"format": FORMAT, "weights": [list(weights)], "kinds": kinds}
