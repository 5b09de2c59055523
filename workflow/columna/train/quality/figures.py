"""How good predicted quality is, on patients that it did not learn from."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from columna.evaluate.paired import Vector
from columna.predict.quality_model import ALL, from_log_odds
from columna.predict.signs import KINDS
from columna.train.quality.fit import KindData, margins
from columna.train.quality.known_structures import Structure

DRAWS = 1000
"""Resampled sets of patients, from which intervals follow."""
LEAST_PATIENTS = 2


class Figures(NamedTuple):
    """One kind of structures, on phantoms or on people."""

    kind: str
    of: str
    patients: int
    structures: int
    coverage: float
    coverage_interval: tuple[float, float]
    spearman: float
    error: float
    distance: float


class Judged(NamedTuple):
    """Held-out predictions of one kind: expected Dice, bound, truth, patient."""

    expected: Vector
    lower: Vector
    dice: Vector
    patient: NDArray[np.str_]
    is_real: NDArray[np.bool_]


def judged(data: KindData, held: Vector) -> Judged:
    """Expected Dice and bounds, margins too from the other patients only."""
    excess, lower = held - data.target, np.full(len(held), np.nan)
    for patient in np.unique(data.patient):
        test = data.patient == patient
        known = margins(excess[~test], data.stratum[~test])
        margin = np.array([known.get(name, known[ALL]) for name in data.stratum[test]])
        lower[test] = held[test] - margin
    pair = from_log_odds(held), from_log_odds(lower)
    return Judged(*pair, data.dice, data.patient, data.is_real)


def figures(structures: Sequence[Structure], held: dict[str, Vector]) -> Iterator[Figures]:
    """Figures of all kinds, for phantoms and for people."""
    for kind in KINDS:
        data = KindData([s for s in structures if s.kind == kind])
        found = judged(data, held[kind])
        for of, rows in (("phantoms", ~data.is_real), ("people", data.is_real)):
            if rows.any():
                yield _figures(kind, of, Judged(*(part[rows] for part in found)))


def _figures(kind: str, of: str, found: Judged) -> Figures:
    covered = found.dice >= found.lower
    return Figures(
        kind,
        of,
        len(np.unique(found.patient)),
        len(found.dice),
        float(covered.mean()),
        by_patient(found.patient, lambda rows: float(covered[rows].mean())),
        _rank_correlation(found.expected, found.dice),
        float(np.abs(found.expected - found.dice).mean()),
        float(np.median(np.abs(found.dice - found.lower))),
    )


def _rank_correlation(one: Vector, other: Vector) -> float:
    """Spearman's correlation; NaN where all values of one are equal."""
    ranks = [stats.rankdata(values) for values in (one, other)]
    if min(rank.std() for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def by_patient(
    patient: NDArray[np.str_], figure: Callable[[NDArray[np.int64]], float]
) -> tuple[float, float]:
    """95 % interval of a figure of rows, by resampling patients; NaN for a single one."""
    groups = [np.flatnonzero(patient == name) for name in np.unique(patient)]
    if len(groups) < LEAST_PATIENTS:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, len(groups), len(groups)) for _ in range(DRAWS))
    values = [figure(np.concatenate([groups[i] for i in chosen])) for chosen in drawn]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def figures_table(found: Sequence[Figures]) -> list[str]:
    """The figures as Markdown."""
    lines = [
        "| structure | of | patients | n | at least the bound | 95 % | Spearman | "
        "mean absolute error | median distance of bound and truth |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for f in found:
        low, high = f.coverage_interval
        cells = (
            f.kind,
            f.of,
            f.patients,
            f.structures,
            f"{100 * f.coverage:.1f} %",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            f"{f.spearman:.2f}",
            f"{f.error:.3f}",
            f"{f.distance:.3f}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines
