"""Which vertebra is which: on-disk numbers and level names.

A namer is any callable that takes a `SeenSpine` and returns a `Naming`. A learned labeller
(VERIDAH) can take the place of those below: it finds bodies, sacrum and image voxels in the
`SeenSpine`, holds its network itself, and is handed to `label_masks` or joins `NAMERS`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from columna.anatomy import C2, L1, L5, L6, T12, T13, levels
from columna.label.anchors import is_c2, look_for_sacrum
from columna.label.seen_spine import SeenSpine

FIRST_LABEL = C2
"""SPINEPS numbers from here downwards where no level is known."""
EXTRA_LABELS = range(34, 80)
"""Numbers for instances that are no known level: outside the tables of levels (1 to 33), metal
(80), discs and endplates (from 100), whatever their count."""

COUNT_C2_TO_L5 = 23
BASE_CONFIDENCE = {"both": 0.98, "c2": 0.95, "sacrum": 0.90, "none": 0.0}
PER_LEVEL = 0.99
"""Factor for every level between anchor and vertebra: each could have been miscounted."""
PER_GAP = 0.5
"""Factor for every suspiciously wide step in between: a vertebra may have been missed."""
VARIANT_CONFIDENCE = 0.5
"""Levels counted from the sacrum in a spine with one vertebra too many or too few."""
DISAGREEMENT_CONFIDENCE = 0.3


@dataclass(frozen=True)
class NamedInstance:
    """How one instance (1..n from top to bottom) is called.

    `confidence` is a documented score from 0 to 1 that orders levels by how far they can be
    trusted; it is not a calibrated probability.
    """

    instance: int
    label: int
    level: str | None
    anchor: str = "none"
    confidence: float = 0.0


@dataclass(frozen=True)
class Naming:
    """All names of a scan, from top to bottom, and what they rest on."""

    instances: list[NamedInstance]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, spine: SeenSpine, named: Iterable[NamedInstance], facts: dict[str, Any]
    ) -> "Naming":
        """All instances from top to bottom; those not among `named` get spare numbers."""
        known = {n.instance: n for n in named}
        spare = iter(EXTRA_LABELS)
        everyone = [
            known[i] if i in known else NamedInstance(i, next(spare), None)
            for i in range(1, spine.count + 1)
        ]
        return cls(everyone, facts)


class Namer(Protocol):
    """Names the vertebrae of a spine."""

    def __call__(self, spine: SeenSpine) -> Naming:
        """Give every instance of `spine` a number and, where known, a level."""


def name_top_down(spine: SeenSpine) -> Naming:
    """Number from C2 downwards whatever the field of view, as SPINEPS does without labeller."""
    named = [
        NamedInstance(instance, label, _level_name(label))
        for instance, label in _numbered_down(spine)
    ]
    return Naming(named, {"method": "top_down", "status": "assumed", "anchors": []})


def name_anchored(spine: SeenSpine) -> Naming:
    """Count from the sacrum, from C2, or from both; without them levels stay unnamed.

    With both anchors in view and 23 vertebrae from C2 to the sacrum everything is settled. With
    22 or 24 the upper part is counted from C2, the five lowest from the sacrum, and T12 is
    missing or followed by T13; `facts` names the hypotheses, which the numbers cannot tell
    apart. Any other count means that vertebrae were missed or split.
    """
    sacrum, c2 = look_for_sacrum(spine), is_c2(spine)
    anchors = [name for name, found in (("c2", c2), ("sacrum", sacrum.is_anchor)) if found]
    facts: dict[str, Any] = {
        "method": "anchored",
        "status": "named",
        "anchors": anchors,
        "sacrum": asdict(sacrum),
        "vertebrae": len(spine.levels),
    }
    if not anchors:
        numbered = _numbered_down(spine)
        facts["status"] = "no_anchor"
        return Naming([NamedInstance(i, label, None) for i, label in numbered], facts)
    if len(anchors) == 1:
        named = _from_one_anchor(spine, anchors[0])
    else:
        named = _from_both_anchors(spine, facts)
    return Naming.of(spine, named, facts)


NAMERS: dict[str, Namer] = {"anchored": name_anchored, "top_down": name_top_down}


def _numbered_down(spine: SeenSpine) -> list[tuple[int, int]]:
    labels = [*range(FIRST_LABEL, L6 + 1), *EXTRA_LABELS]
    return list(zip(range(1, spine.count + 1), labels, strict=False))


def _from_one_anchor(spine: SeenSpine, anchor: str) -> list[NamedInstance]:
    last = len(spine.levels) - 1
    named = []
    for place, instance in enumerate(spine.levels):
        from_c2 = anchor == "c2"
        label = FIRST_LABEL + place if from_c2 else L5 - (last - place)
        between = spine.gaps[:place] if from_c2 else spine.gaps[place:]
        confidence = BASE_CONFIDENCE[anchor] * PER_LEVEL ** len(between) * PER_GAP ** between.sum()
        if 1 <= label <= L6:
            named.append(_named(instance, label, anchor, confidence))
    return named


def _from_both_anchors(spine: SeenSpine, facts: dict[str, Any]) -> list[NamedInstance]:
    """Number so that C2 is the first and L5 the last; `facts` gets status and hypotheses."""
    surplus = len(spine.levels) - COUNT_C2_TO_L5
    if surplus == 0:
        labels = range(FIRST_LABEL, L5 + 1)
        confidence = BASE_CONFIDENCE["both"]
        return [
            _named(i, label, "both", confidence)
            for i, label in zip(spine.levels, labels, strict=True)
        ]
    upper = _from_one_anchor(spine, "c2")
    lower = _from_one_anchor(spine, "sacrum")
    if abs(surplus) == 1:
        facts["status"] = "count_variant"
        facts["hypotheses"] = ["T13", "L6"] if surplus > 0 else ["T11", "L4"]
        top = [n for n in upper if n.label < T12 + min(surplus, 0) + 1]
        bottom = [_less_sure(n, VARIANT_CONFIDENCE) for n in lower if n.label >= L1]
        extra = spine.levels[len(top) : len(spine.levels) - len(bottom)]
        return [*top, *(_named(i, T13, "both", VARIANT_CONFIDENCE) for i in extra), *bottom]
    facts["status"] = "anchors_disagree"
    if surplus > 0:
        return [_less_sure(n, DISAGREEMENT_CONFIDENCE) for n in lower]
    split = _widest_step(spine)
    both = [*upper[:split], *lower[split:]]
    return [_less_sure(n, DISAGREEMENT_CONFIDENCE) for n in both]


def _widest_step(spine: SeenSpine) -> int:
    """Place of the first level below the step that is widest against the steps around it."""
    steps = np.pad(spine.steps_mm, 1, mode="edge")
    ratios = steps[1:-1] / ((steps[:-2] + steps[2:]) / 2)
    return int(ratios.argmax()) + 1


def _named(instance: int, label: int, anchor: str, confidence: float) -> NamedInstance:
    return NamedInstance(instance, label, _level_name(label), anchor, round(float(confidence), 3))


def _less_sure(named: NamedInstance, limit: float) -> NamedInstance:
    return _named(named.instance, named.label, named.anchor, min(named.confidence, limit))


def _level_name(label: int) -> str | None:
    level = levels().get(label)
    return level.name if level else None
