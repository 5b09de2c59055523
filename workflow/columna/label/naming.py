"""Which vertebra is which: on-disk numbers, level names, and how probable they are.

A namer is any callable that takes a `SeenSpine` and returns a `Naming`. The default one weighs all
that the masks show in one model (`columna.label.model`); what a labeller thinks of every vertebra
for itself joins it as one more kind of evidence (`ChainNamer.scores`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

import numpy as np

from columna.anatomy import C2, L6, NAMELESS, SACRUM, T12, T13, levels
from columna.config import LabelSettings
from columna.errors import ScanRefused
from columna.label.evidence import Evidence, evidence_of
from columna.label.given_anchor import Anchor
from columna.label.model import LABELS, Spines, likelihoods, parameters
from columna.label.path import Posterior, infer
from columna.label.seen_spine import SeenSpine

FIRST_LABEL = C2
"""SPINEPS numbers from here downwards where no level is known."""
FALSE_PIECE = "false_piece"
"""The name, in posteriors, of what is no vertebra."""
LEAST_P = 0.001
"""Less probable names are not listed."""
LIKELY = 0.5
FIRST_THORACIC = 8

Scores = Callable[[SeenSpine], np.ndarray]
"""Log probability of each level, in the order of `columna.anatomy.vertebra_labels`, for each of
`SeenSpine.levels` from top to bottom, shape (n, 26); they need not be normalised."""


@dataclass(frozen=True)
class NamedInstance:
    """How one instance (1..n from top to bottom) is called.

    Parameters
    ----------
    instance, label, level
        Its number in the raw and in the delivered mask, and its name, if it has one.
    anchor
        What the name rests on.
    p
        Probability of the name; None where none was computed.
    posterior
        Probability of each level, from `LEAST_P`, the most probable first.
    is_piece
        Whether it is no vertebra.
    """

    instance: int
    label: int
    level: str | None
    anchor: str = "none"
    p: float | None = None
    posterior: Mapping[str, float] = field(default_factory=dict)
    is_piece: bool = False


@dataclass(frozen=True)
class Naming:
    """All names of a scan, from top to bottom, and what they rest on."""

    instances: list[NamedInstance]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, spine: SeenSpine, named: Iterable[NamedInstance], facts: dict[str, Any]
    ) -> "Naming":
        """All instances from top to bottom; those not among `named` are pieces."""
        known = {n.instance: n for n in named}
        taken = {n.label for n in known.values()}
        spare = (label for label in NAMELESS if label not in taken)
        everyone = [
            known[i]
            if i in known
            else NamedInstance(i, next(spare), None, posterior={FALSE_PIECE: 1.0}, is_piece=True)
            for i in range(1, spine.count + 1)
        ]
        return cls(everyone, facts)


class Namer(Protocol):
    """Names the vertebrae of a spine."""

    def __call__(self, spine: SeenSpine) -> Naming:
        """Give every instance of `spine` a number and, where known, a level."""


def name_top_down(spine: SeenSpine) -> Naming:
    """Number from C2 downwards whatever the field of view, as SPINEPS does without labeller."""
    labels = [*range(FIRST_LABEL, L6 + 1), *NAMELESS]
    named = [
        NamedInstance(instance, label, _level_name(label), is_piece=instance in spine.specks)
        for instance, label in zip(range(1, spine.count + 1), labels, strict=False)
    ]
    return Naming(named, {"method": "top_down", "status": "assumed", "anchors": []})


def namer_of(settings: LabelSettings, anchor: Anchor | None = None) -> Namer:
    """The namer that the settings ask for."""
    return name_top_down if settings.naming == "top_down" else ChainNamer(settings, anchor=anchor)


@dataclass(frozen=True)
class ChainNamer:
    """Names by the posterior of the chain of all bodies (docs/levels.md).

    Parameters
    ----------
    settings
        Priors, and how probable a name must be.
    scores
        A labeller, for example a network that looks at `SeenSpine.image`.
    anchor
        What the cohort sheet says of the levels; it is obeyed.
    """

    settings: LabelSettings
    scores: Scores | None = None
    anchor: Anchor | None = None

    def __call__(self, spine: SeenSpine) -> Naming:
        """Name every vertebra; raise ScanRefused (``bad_anchor``) if the anchor cannot hold."""
        facts: dict[str, Any] = {"method": "chain", "status": "unnamed", "anchors": []}
        if not spine.levels:
            return Naming.of(spine, _numbered_down(spine, {}), facts)
        evidence = evidence_of(spine)
        scores = self.scores(spine) if self.scores else None
        found = self.posterior(evidence, scores)
        listed = dict(zip(spine.levels, listed_names(found), strict=True))
        anchors = _landmarks(evidence, found)
        named = self._named(spine, listed, self._rests_on(anchors))
        facts |= {
            "anchors": anchors,
            "vertebrae": len(named),
            "sacrum_mm3": round(evidence.sacrum_mm3, 1),
            "variants": _variants(evidence, found, self.settings),
        }
        if any(n.level for n in named):
            facts["status"] = "named" if all(n.level for n in named) else "partly_named"
        pieces = _pieces(spine, listed, named)
        return Naming.of(spine, [*named, *pieces], facts)

    def posterior(self, evidence: Evidence, scores: np.ndarray | None = None) -> Posterior:
        """Probabilities of all names, for these measures."""
        spines = Spines.of(self.settings.variants)
        seen = likelihoods(evidence, spines, scores)
        sums = infer(seen)
        found = sums.posterior()
        is_counted = scores is not None or self._is_counted(_landmarks(evidence, found))
        if self.anchor is None:
            known = _landmarks(evidence, found)
            found = sums.posterior(is_counted=is_counted)
            return found if is_counted else self._not_too_sure(found, known)
        is_true = found.false + found.level[:, LABELS.index(SACRUM)] < LIKELY
        obeyed = infer(self.anchor.constrained(seen, is_true)).posterior(is_counted=is_counted)
        still = obeyed.false + obeyed.level[:, LABELS.index(SACRUM)] < LIKELY
        if not np.isfinite(obeyed.log_evidence) or still.sum() < is_true.sum():
            raise ScanRefused(
                "bad_anchor",
                f"The cohort sheet says {self.anchor}, but {is_true.sum()} vertebrae were found, "
                "which cannot be named so; correct or remove it.",
            )
        return obeyed

    def _is_counted(self, landmarks: list[str]) -> bool:
        """Whether both ends of the chain are known: by landmarks, or from the sheet."""
        given = self.anchor or Anchor()
        top = "c2" in landmarks or given.highest_level is not None
        return top and ("sacrum" in landmarks or given.lowest_level is not None)

    def _not_too_sure(self, found: Posterior, landmarks: list[str]) -> Posterior:
        """No name is more probable than the usual share of spines that it would be right in.

        From the sacrum, four to six lumbar vertebrae look alike, and so do 11 to 13 thoracic ones
        from C2; what is above this goes to the levels above and below.
        """
        variants, most = self.settings.variants, np.ones(len(LABELS))
        below_t11 = LABELS.index(T12)
        most[below_t11:] = 1 - variants.t11 - variants.t13
        if "c2" not in landmarks:
            most[LABELS.index(FIRST_THORACIC) :] = 1 - variants.l4 - variants.l6
        most[LABELS.index(SACRUM)] = 1
        excess = np.maximum(found.level - most, 0)
        level = found.level - excess
        for place, (above, below) in enumerate(_neighbours()):
            level[:, above] += excess[:, place] / 2
            level[:, below] += excess[:, place] / 2
        return replace(found, level=level)

    def _rests_on(self, anchors: list[str]) -> str:
        if self.anchor is not None:
            return "sheet"
        if self.scores and not anchors:
            return "labeller"
        return "both" if len(anchors) == 2 else (*anchors, "shape")[0]

    def _named(
        self, spine: SeenSpine, listed: Mapping[int, dict[str, float]], anchor: str
    ) -> list[NamedInstance]:
        """The vertebrae, with a name where it is probable enough."""
        numbers = {level.name: label for label, level in levels().items()}
        true = {i: p for i, p in listed.items() if p.get(FALSE_PIECE, 0) + p.get("S1", 0) < LIKELY}
        best = {i: next(iter(p.items())) for i, p in true.items()}
        sure = {i: (n, p) for i, (n, p) in best.items() if p >= self.settings.least_name_p}
        sure = {i: (n, p) for i, (n, p) in sure.items() if n in numbers and n != "S1"}
        if not sure:
            return _numbered_down(spine, true)
        spare = iter(NAMELESS)
        return [
            NamedInstance(i, numbers[sure[i][0]], sure[i][0], anchor, sure[i][1], p)
            if i in sure
            else NamedInstance(i, next(spare), None, "none", None, p)
            for i, p in true.items()
        ]


@cache
def _neighbours() -> list[tuple[int, int]]:
    """Places in `LABELS` of the levels above and below each one; at an end twice the same."""
    usual = [place for place, label in enumerate(LABELS) if label not in (T13, SACRUM)]
    found = []
    for place in range(len(LABELS)):
        above = [other for other in usual if other < place]
        below = [other for other in usual if other > place]
        found.append(((above or below[:1])[-1], (below or above[-1:])[0]))
    return found


def _numbered_down(spine: SeenSpine, true: Mapping[int, dict[str, float]]) -> list[NamedInstance]:
    """Vertebrae without names; all instances where none has a body."""
    instances = true or {i: {} for i in range(1, spine.count + 1) if not spine.levels}
    return [
        NamedInstance(i, label, None, posterior=p)
        for (i, p), label in zip(instances.items(), NAMELESS, strict=False)
    ]


def _pieces(
    spine: SeenSpine, listed: Mapping[int, dict[str, float]], named: list[NamedInstance]
) -> list[NamedInstance]:
    """Bodies that are no vertebrae, with spare numbers."""
    taken = {n.label for n in named}
    spare = (label for label in NAMELESS if label not in taken)
    others = set(spine.levels) - {n.instance for n in named}
    return [
        NamedInstance(i, next(spare), None, posterior=listed[i], is_piece=True)
        for i in sorted(others)
    ]


def listed_names(found: Posterior) -> list[dict[str, float]]:
    """Probability of every name of each body, the most probable first."""
    names = [*(levels()[label].name for label in LABELS), FALSE_PIECE]
    rows = np.column_stack([found.level, found.false])
    return [
        {
            names[k]: round(float(row[k]), 4)
            for k in np.argsort(-row, kind="stable")
            if row[k] >= LEAST_P
        }
        for row in rows
    ]


def _landmarks(evidence: Evidence, found: Posterior) -> list[str]:
    """The landmarks that are seen, and taken for what they look like."""
    c2 = found.level[:, LABELS.index(C2)]
    anchors = ["c2"] if ((evidence.dens == 1) & (c2 >= LIKELY)).any() else []
    return [*anchors, *(["sacrum"] if found.ends_in_sacrum >= LIKELY else [])]


def _variants(evidence: Evidence, found: Posterior, settings: LabelSettings) -> dict[str, float]:
    """Probability of each variant of the spine."""
    counts = Spines.of(settings.variants).counts
    share = {
        name: float(found.variant[counts[:, column] == number].sum())
        for name, column, number in (("t11", 0, 11), ("t13", 0, 13), ("l4", 1, 4), ("l6", 1, 6))
    }
    share["transitional"] = _transitional(evidence, found, settings.variants.transitional)
    return {name: round(p, 4) for name, p in share.items()}


def _transitional(evidence: Evidence, found: Posterior, prior: float) -> float:
    """A transitional vertebra often has no proper disc below it."""
    _, constant = parameters()
    place = int(np.argmax(found.last))
    disc = evidence.sacrum_disc[place]
    if np.isnan(disc) or found.ends_in_sacrum < LIKELY:
        return prior
    chance = np.array([constant["p_disc_transitional"], constant["p_disc_sacrum"]])
    weight = np.array([prior, 1 - prior]) * (chance if disc else 1 - chance)
    return float(weight[0] / weight.sum())


def _level_name(label: int) -> str | None:
    level = levels().get(label)
    return level.name if level and label != SACRUM else None
