"""Names as people have put them right: a namer that obeys decisions (docs/corrections.md)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from columna.anatomy import NAMELESS, levels
from columna.errors import DecisionError, ScanRefused
from columna.label.naming import FALSE_PIECE, NamedInstance, Namer, Naming
from columna.label.seen_spine import SeenSpine
from columna.review.levels import S1, LevelDecisions, ReviewedName

REVIEWED = "reviewed"
"""The ``level_anchor`` of levels that a person has put right."""
COMPUTED = "computed"
"""Fact of a `Naming`: label and level of every instance before the decisions, from the top."""


@dataclass(frozen=True)
class ReviewedNamer:
    """The names of another namer, put right."""

    namer: Namer
    decisions: LevelDecisions

    def __call__(self, spine: SeenSpine) -> Naming:
        """Name every vertebra; raise ScanRefused (``bad_correction``) if that cannot be done."""
        return put_right(self.namer(spine), self.decisions)


def put_right(naming: Naming, decisions: LevelDecisions) -> Naming:
    """Names after the decisions; those of other vertebrae stay, with their probabilities.

    What is named by a person has a probability of 1.

    Raises
    ------
    ScanRefused
        ``bad_correction``, if the decisions do not fit the vertebrae found.
    """
    before = naming.instances
    try:
        names = decisions.applied([named.level for named in before])
    except DecisionError as error:
        raise refused(str(error)) from error
    changed = [_changed(old, new) for old, new in zip(before, names, strict=True)]
    facts = naming.facts | {COMPUTED: [[named.label, named.level] for named in before]}
    return Naming(_numbered(changed), facts)


def refused(problem: str) -> ScanRefused:
    """The refusal of corrections that cannot hold."""
    return ScanRefused("bad_correction", f"Corrections: {problem}. Take the decision back.")


def _changed(old: NamedInstance, new: ReviewedName) -> NamedInstance:
    if not new.is_reviewed:
        return old
    if new.is_false:
        gone = {FALSE_PIECE: 1.0}
        return replace(old, level=None, anchor="none", p=None, posterior=gone, is_piece=True)
    name = str(new.level)
    if name == S1:  # a piece of the sacrum is no vertebra of its own
        return replace(old, level=None, anchor="none", p=None, posterior={S1: 1.0}, is_piece=True)
    return replace(old, level=name, anchor=REVIEWED, p=1.0, posterior={name: 1.0}, is_piece=False)


def _numbered(instances: Iterable[NamedInstance]) -> list[NamedInstance]:
    """Numbers by level; spare ones for instances without a level whose number is not theirs."""
    instances = list(instances)
    numbers = {level.name: label for label, level in levels().items()}
    kept = {n.label for n in instances if n.level is None and n.label not in levels()}
    spare = (label for label in NAMELESS if label not in kept)
    return [
        replace(named, label=numbers[named.level])
        if named.level
        else (named if named.label in kept else replace(named, label=next(spare)))
        for named in instances
    ]
