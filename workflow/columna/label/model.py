"""The model of the chain of vertebrae: how likely what is seen is, if a body is a given level.

A spine is one of nine (11 to 13 thoracic, four to six lumbar vertebrae), and larger or smaller
than usual. Given both, every body is one level of it, or none (a false piece); levels between two
bodies may have been missed. docs/levels.md explains model, parameters and priors.
"""

import csv
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from columna.anatomy import L1, RESOURCES, SACRUM, T12, T13, vertebra_labels
from columna.config import VariantPriors
from columna.label.evidence import Evidence

C1, C7, T1 = 1, 7, 8
MOST_MISSED = 3
"""More levels in a row than this are not missed."""
MOST_FALSE = 3
"""More false pieces in a row than this are not looked at."""
SCALES = np.arange(-5, 4) * 0.9
"""Sizes of persons that are summed over, SDs from the usual: from children to giants."""
FREEDOM = 4.0
"""Degrees of freedom of the likelihoods: heavy tails, so that one odd body does not decide."""
RANKS = 27
"""Levels of the longest spine: C1 to S1 with T13 and L6."""
C2_RANK = 1
SIZES = ("height", "depth", "width")
ANGLES = ("tilt", "spinous")
FAR = -50.0
"""Log likelihood of what hardly can be."""
LABELS = (*vertebra_labels(), SACRUM)
"""Instance labels in anatomical order."""


@cache
def parameters() -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """What is usual by level, and constants (``level_shapes.tsv``, ``level_model.tsv``).

    Levels have a place on a scale on which C2 = 0, T1 = 6, L1 = 18 and the last lumbar vertebra
    is 22, whatever their number.
    """
    with open(RESOURCES / "level_shapes.tsv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    usual = {
        name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "level"
    }
    with open(RESOURCES / "level_model.tsv", newline="", encoding="utf-8") as stream:
        constants = {r["name"]: float(r["value"]) for r in csv.DictReader(stream, delimiter="\t")}
    return usual, constants


@dataclass(frozen=True, eq=False)
class Spines:
    """All spines that are thought possible: variants (v), sizes and cords (s), levels by rank (r).

    Parameters
    ----------
    counts
        Thoracic and lumbar vertebrae, shape (v, 2).
    log_prior
        Shape (v, s).
    label
        Instance label of each rank, 0 beyond the sacrum, (v, r). Rank 0 is C1.
    place
        Place on the scale of `parameters`, (v, r).
    last
        Rank of the last vertebra above the sacrum, (v,).
    scale
        Size against the usual, (s,).
    is_cauda
        Whether the mask calls the cauda equina cord, so that its end says nothing, (s,).
    """

    counts: np.ndarray
    log_prior: np.ndarray
    label: np.ndarray
    place: np.ndarray
    last: np.ndarray
    scale: np.ndarray
    is_cauda: np.ndarray

    @classmethod
    def of(cls, priors: VariantPriors) -> "Spines":
        """The nine variants with their priors; numbers of regions vary independently."""
        _, constant = parameters()
        thoracic = {11: priors.t11, 12: 1 - priors.t11 - priors.t13, 13: priors.t13}
        lumbar = {4: priors.l4, 5: 1 - priors.l4 - priors.l6, 6: priors.l6}
        counts = np.array([(t, n) for t in thoracic for n in lumbar])
        with np.errstate(divide="ignore"):
            prior = np.log([thoracic[t] * lumbar[n] for t, n in counts])
        scale = np.exp(constant["scale_sd"] * np.tile(SCALES, 2))
        is_cauda = np.repeat([False, True], len(SCALES))
        weight = np.where(is_cauda, np.log(constant["p_cauda"]), np.log(1 - constant["p_cauda"]))
        size = student(SCALES, 1.0)
        weight = weight + np.tile(size - np.log(np.exp(size).sum()), 2)
        label, place = np.zeros((9, RANKS), int), np.full((9, RANKS), np.nan)
        for v, (t, n) in enumerate(counts):
            names = [*range(C1, C7 + 1), *[*range(T1, T12 + 1), T13][:t]]
            names += [*range(L1, L1 + n), SACRUM]
            label[v, : len(names)] = names
            where = [*np.arange(-1, 6), *np.linspace(6, 17, t), *np.linspace(18, 22, n), 23]
            place[v, : len(names)] = where
        last = 6 + counts.sum(axis=1)
        return cls(counts, prior[:, None] + weight, label, place, last, scale, is_cauda)

    def usual(self, name: str) -> np.ndarray:
        """What is usual of a measure, (v, r); NaN beyond the sacrum."""
        table, _ = parameters()
        return np.interp(self.place, table["place"], table[name])

    @property
    def is_level(self) -> np.ndarray:
        """Where a rank is that of a vertebra above the sacrum, (v, r)."""
        return np.arange(RANKS)[None] <= self.last[:, None]

    @cached_property
    def path_mm(self) -> np.ndarray:
        """Way along the usual spine from C1 to the middle of each level, (v, r)."""
        pitch = np.nan_to_num(self.usual("pitch_mm"))
        return np.cumsum(np.pad(pitch, ((0, 0), (1, 0)))[:, :-1], axis=1)

    @cached_property
    def log_step(self) -> np.ndarray:
        """Log distance from each level to the lower ones, by missed levels, (v, s, r, m)."""
        usual = np.maximum(lower_levels(self.path_mm) - self.path_mm[:, :, None], 1.0)[:, None]
        return np.log(usual) + np.log(self.scale)[None, :, None, None]

    @cached_property
    def cord_chance(self) -> np.ndarray:
        """Chance that the cord reaches as far down as the middle of a level, (v, r)."""
        _, constant = parameters()
        z = (constant["conus_place"] - self.place) / constant["conus_sd"]
        return np.clip(np.nan_to_num(1 / (1 + np.exp(-1.7 * z)), nan=0.0), 1e-4, 1 - 1e-4)


def lower_levels(by_rank: np.ndarray) -> np.ndarray:
    """Values of the levels below each one, by missed levels between, (v, r, m)."""
    padded = np.pad(by_rank, ((0, 0), (0, MOST_MISSED + 1)), mode="edge")
    return np.stack([padded[:, m + 1 : m + 1 + RANKS] for m in range(MOST_MISSED + 1)], axis=2)


def student(away: np.ndarray, sd: np.ndarray | float) -> np.ndarray:
    """Log density of a heavy-tailed distribution at `away` from its middle, less a constant."""
    spread = 1 + (away / sd) ** 2 / FREEDOM
    return -np.log(sd) - (FREEDOM + 1) / 2 * np.log(spread)


def _yes_no(seen: np.ndarray | float, chance: np.ndarray | float) -> np.ndarray:
    """Log probability of what was seen (1 or 0; NaN says nothing) where 1 has this `chance`."""
    return np.where(np.isnan(seen), 0.0, np.log(np.where(seen == 1, chance, 1 - chance)))


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Log likelihoods of all that was seen, for the inference of `columna.label.path`.

    Parameters
    ----------
    level
        Of each body as each level of each spine, (n, v, s, r); -inf where there is none.
    false
        Of each body as a false piece, (n,).
    start, end
        Of what is seen above the first vertebra, (n, v, s, r), and below the last one, if it is
        this body and level.
    spines
        The spines.
    evidence
        What was seen.
    """

    level: np.ndarray
    false: np.ndarray
    start: np.ndarray
    end: np.ndarray
    spines: Spines
    evidence: Evidence

    def step(self, upper: int, lower: int) -> np.ndarray:
        """Of the step from one body to a lower one, by missed levels m, (v, s, r, m).

        Entry r is the rank of the upper body; the lower one has rank r + 1 + m.
        """
        return _step(self.spines, self.evidence, upper, lower)


def likelihoods(
    evidence: Evidence, spines: Spines, scores: np.ndarray | None = None
) -> Likelihoods:
    """Judge what was seen.

    Parameters
    ----------
    evidence
        Measures of n bodies.
    spines
        The spines that are thought possible.
    scores
        Of a labeller: log probability of each level in the order of
        `columna.anatomy.vertebra_labels` for each body, (n, 26); need not be normalised.
    """
    level = _shapes(evidence, spines) + _signs(evidence, spines)
    if scores is not None:
        level = level + _scores(scores, spines)[:, :, None]
    level = np.where(spines.is_level[:, None], level, -np.inf)
    for v, last in enumerate(spines.last):
        level[:, v, :, last + 1] = _sacral(evidence)[:, None]
    start = _start(evidence, spines)
    return Likelihoods(level, _false(evidence), start, _end(evidence, spines), spines, evidence)


def _shapes(evidence: Evidence, spines: Spines) -> np.ndarray:
    """Sizes and angles of each body, (n, v, s, r)."""
    total = np.zeros((evidence.count, *spines.log_prior.shape, RANKS))
    for name in SIZES:
        total += _size(evidence, spines, name)
    _, constant = parameters()
    for name in ANGLES:
        seen = getattr(evidence, f"{name}_deg")[:, None, None, None]
        usual = spines.usual(f"{name}_deg")[None, :, None]
        found = student(seen - usual, constant[f"{name}_sd"])
        total += constant[f"{name}_weight"] * np.nan_to_num(found)
    return total


def _size(evidence: Evidence, spines: Spines, name: str) -> np.ndarray:
    """One of the sizes of each body, (n, v, s, r).

    Networks often lose some of the dens or all of it, so C2 may be as low as C3.
    """
    _, constant = parameters()
    seen = np.log(getattr(evidence, f"{name}_mm"))[:, None, None, None]
    usual = np.log(spines.usual(f"{name}_mm"))[None, :, None]
    sd = np.full(RANKS, constant[f"{name}_sd"])
    if name == "height":
        usual[..., C2_RANK] += np.log(constant["c2_height_share"])
        sd[C2_RANK] = constant["c2_height_sd"]
    away = seen - usual - np.log(spines.scale)[None, None, :, None]
    return constant[f"{name}_weight"] * np.nan_to_num(student(away, sd))


def _any(evidence: Evidence, name: str, spread: float) -> np.ndarray:
    """A measure of each body if it may be anything: as flat as it is wide, (n,)."""
    _, constant = parameters()
    unit = "mm" if name in SIZES else "deg"
    seen = np.isfinite(getattr(evidence, f"{name}_{unit}"))
    flat = student(np.zeros(1), spread * constant[f"{name}_sd"])
    return constant[f"{name}_weight"] * np.where(seen, flat, 0.0)


def _signs(evidence: Evidence, spines: Spines) -> np.ndarray:
    """What a true vertebra shows whatever its level, and the dens of C2, (n, v, 1, r)."""
    _, constant = parameters()
    any_level = constant["off_weight"] * np.nan_to_num(student(evidence.off_mm, constant["off_sd"]))
    any_level += np.nan_to_num(student(np.log(evidence.size_ratio), constant["size_sd"]))
    any_level += _yes_no(evidence.bare, constant["p_bare"])
    is_c2 = np.arange(RANKS) == C2_RANK
    dens = _yes_no(
        evidence.dens[:, None], np.where(is_c2, constant["p_dens_c2"], constant["p_dens"])
    )
    return (any_level[:, None] + dens)[:, None, None]


def _scores(scores: np.ndarray, spines: Spines) -> np.ndarray:
    """A labeller's scores by rank, (n, v, r)."""
    column = np.array([LABELS.index(label) if label else 0 for label in spines.label.ravel()])
    column = np.minimum(column, scores.shape[1] - 1).reshape(spines.label.shape)
    return scores[:, column]


def _false(evidence: Evidence) -> np.ndarray:
    """Each body as a false piece: of any size, anywhere, mostly bare, (n,)."""
    _, constant = parameters()
    total = _odd(evidence) + np.log(constant["p_false"])
    return total + _yes_no(evidence.bare, constant["p_bare_false"])


def _sacral(evidence: Evidence) -> np.ndarray:
    """Each body as S1 or a piece of it: right on the sacrum without a disc between, (n,)."""
    _, constant = parameters()
    total = _odd(evidence) + np.log(constant["p_sacral"])
    total += _yes_no(evidence.bare, constant["p_bare_s1"])
    total += _yes_no(evidence.sacrum_disc, constant["p_disc_below_s1"])
    near = student(evidence.sacrum_mm - constant["s1_sacrum_mm"], constant["s1_sacrum_sd"])
    return total + np.where(np.isfinite(evidence.sacrum_mm), near, constant["log_no_sacrum_s1"])


def _odd(evidence: Evidence) -> np.ndarray:
    """The measures of a level, with wide distributions in place of narrow ones, (n,)."""
    _, constant = parameters()
    size = np.log(evidence.size_ratio) - constant["false_size"]
    total = np.nan_to_num(student(size, constant["false_size_sd"]))
    off = student(evidence.off_mm, constant["false_off_sd"])
    total += constant["off_weight"] * np.nan_to_num(off)
    total += _yes_no(evidence.dens, constant["p_dens"])
    return (
        total
        + sum(_any(evidence, n, 3.0) for n in SIZES)
        + sum(_any(evidence, n, 2.0) for n in ANGLES)
    )


def _start(evidence: Evidence, spines: Spines) -> np.ndarray:
    """What lies above the first vertebra: image with room for levels that were not found."""
    _, constant = parameters()
    rank = np.arange(RANKS)[None, None]
    pitch = spines.usual("pitch_mm")[None]
    room = _room_above(evidence)[:, None, None]
    lost = np.clip(np.nan_to_num(room / pitch - 0.5), 0, np.maximum(rank - 1, 0))
    total = np.minimum(np.floor(lost), MOST_MISSED) * np.log(constant["p_missed_edge"])
    total = total + np.where(rank == 0, np.log(constant["p_c1"]), 0.0)
    return np.broadcast_to(total[:, :, None], (evidence.count, *spines.log_prior.shape, RANKS))


def _room_above(evidence: Evidence) -> np.ndarray:
    """Image above each body, if it is the first vertebra."""
    return evidence.room_above_mm + evidence.centre_mm[0, 2] - evidence.centre_mm[:, 2]


def _room_below(evidence: Evidence) -> np.ndarray:
    return evidence.room_below_mm + evidence.centre_mm[:, 2] - evidence.centre_mm[-1, 2]


def _end(evidence: Evidence, spines: Spines) -> np.ndarray:
    """What lies below the last vertebra: the sacrum, or image with room for what was not found."""
    missed = spines.last[:, None] - np.arange(RANKS)[None]
    if not evidence.has_sacrum:
        total = _no_sacrum(evidence, spines, missed)
        return np.broadcast_to(total, (evidence.count, *spines.log_prior.shape, RANKS)).copy()
    _, constant = parameters()
    missed = missed[None, :, None]
    seen = np.nan_to_num(evidence.sacrum_mm, nan=1e3)[:, None, None, None]
    total = _to_sacrum(evidence, spines) + np.maximum(missed, 0) * np.log(constant["p_missed"])
    disc = evidence.sacrum_disc[:, None, None, None]
    whole = total + _yes_no(disc, constant["p_disc_sacrum"]) + np.log(1 - constant["p_half"])
    # or part of its height was given to the sacrum, and the disc below with it
    half = student(seen - constant["half_sacrum_mm"], constant["half_sacrum_sd"])
    half = half + _yes_no(disc, constant["p_disc_below_s1"]) + np.log(constant["p_half"])
    half = half + _any(evidence, "height", 3.0)[:, None, None, None]
    half = half - _size(evidence, spines, "height")
    total = np.where(missed == 0, np.logaddexp(whole, half), total)
    total = np.where((missed > MOST_MISSED) | (seen >= 1e3), FAR, total)
    # S1 itself: `_sacral` has judged its place
    return np.where(missed == -1, 0.0, total)


def _to_sacrum(evidence: Evidence, spines: Spines) -> np.ndarray:
    """Distance between each body and the sacrum, missed levels between, (n, v, s, r)."""
    _, constant = parameters()
    path = spines.path_mm
    missed_mm = np.take_along_axis(path, spines.last[:, None], axis=1) - path
    usual = (constant["sacrum_mm"] + missed_mm)[None, :, None]
    expected = np.maximum(usual, 1.0) * spines.scale[None, None, :, None]
    away = np.nan_to_num(evidence.sacrum_mm)[:, None, None, None] - expected
    further = np.maximum(expected - constant["sacrum_mm"], 0)
    return student(away, np.hypot(constant["sacrum_sd"], constant["step_sd"] * further))


def _no_sacrum(evidence: Evidence, spines: Spines, missed: np.ndarray) -> np.ndarray:
    """Of the levels that there is room for, and of the sacrum, none was found, (n, v, 1, r)."""
    _, constant = parameters()
    room = np.nan_to_num(_room_below(evidence)[:, None, None] / spines.usual("pitch_mm")[None])
    lost = np.clip(np.floor(room - 0.5), 0, MOST_MISSED)
    levels = np.minimum(lost, np.maximum(missed, 0)) * np.log(constant["p_missed_edge"])
    sacrum = np.where(lost > np.maximum(missed, 0), np.log(constant["p_no_sacrum"]), 0.0)
    return (levels + sacrum)[:, :, None]


def _step(spines: Spines, evidence: Evidence, upper: int, lower: int) -> np.ndarray:
    _, constant = parameters()
    seen = float(np.linalg.norm(evidence.centre_mm[upper] - evidence.centre_mm[lower]))
    away = np.log(max(seen, 0.5)) - spines.log_step
    total = constant["step_weight"] * student(away, constant["step_sd"])
    total = total + np.arange(MOST_MISSED + 1) * np.log(constant["p_missed"])
    between = evidence.disc[upper:lower]
    disc = np.nan if np.isnan(between).all() else float(np.nanmax(between))
    total = total + _yes_no(disc, constant["p_disc"])
    return total + constant["cord_weight"] * _cord_step(spines, evidence, upper, lower)


def _cord_step(spines: Spines, evidence: Evidence, upper: int, lower: int) -> np.ndarray:
    """Log chance of cord, or none, at the lower body, given the upper one, (v, s, r, m)."""
    _, constant = parameters()
    above, below = evidence.cord[upper], evidence.cord[lower]
    if np.isnan(above) or np.isnan(below):
        return np.zeros((1, 1, 1, 1))
    chance = spines.cord_chance
    reach = lower_levels(chance)
    error = constant["p_cord_error"]
    stays = reach / np.maximum(chance[:, :, None], reach) if above == 1 else np.zeros_like(reach)
    seen = stays * (1 - error) + (1 - stays) * error
    end = np.log(seen if below == 1 else 1 - seen)[:, None]
    anywhere = np.log(0.9 if below == above else 0.1)
    return np.where(spines.is_cauda[None, :, None, None], anywhere, end)


def cord_start(spines: Spines, evidence: Evidence) -> np.ndarray:
    """Log chance of cord, or none, at each body, if it is the first vertebra, (n, v, s, r)."""
    _, constant = parameters()
    chance = spines.cord_chance
    error = constant["p_cord_error"]
    seen = chance * (1 - error) + (1 - chance) * error
    end = _yes_no(evidence.cord[:, None, None], seen[None])[:, :, None]
    anywhere = _yes_no(evidence.cord, 0.5)[:, None, None, None]
    found = np.where(spines.is_cauda[None, None, :, None], anywhere, end)
    return constant["cord_weight"] * found
