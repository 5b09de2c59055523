"""What decisions make of the names of a scan: the stage label and pages that show it ask here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

from columna.anatomy import L6, T13, levels
from columna.errors import DecisionError
from columna.review.decisions import FALSE, NAME, SHIFT, Decision, in_force

S1 = "S1"


class ReviewedName(NamedTuple):
    """Name of one vertebra after the decisions.

    Parameters
    ----------
    level
        Level; S1 for a piece of the sacrum; None where nobody has named it.
    is_reviewed
        Whether a decision says so.
    is_false
        Whether it is no vertebra, by a decision.
    """

    level: str | None
    is_reviewed: bool = False
    is_false: bool = False


@dataclass(frozen=True)
class LevelDecisions:
    """What was decided about the names of one scan.

    Parameters
    ----------
    shift
        By how many levels every name moves caudally.
    names
        Position from the top -> level.
    false
        Positions of what is no vertebra.
    """

    shift: int = 0
    names: Mapping[int, str] = field(default_factory=dict)
    false: frozenset[int] = frozenset()

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "LevelDecisions | None":
        """Those in force among `decisions` about one scan; None where none is about names."""
        kinds: dict[str, list[Decision]] = {SHIFT: [], NAME: [], FALSE: []}
        for decision in in_force(decisions):
            if decision.decision in kinds:
                kinds[decision.decision].append(decision)
        if not any(kinds.values()):
            return None
        return cls(
            sum(d.steps for d in kinds[SHIFT]),
            {d.position: d.value for d in sorted(kinds[NAME], key=lambda d: d.position)},
            frozenset(d.position for d in kinds[FALSE]),
        )

    def without(self, positions: Set[int]) -> "LevelDecisions":
        """The same where what is at these positions is gone, unless it is named."""
        return replace(self, false=self.false | (positions - self.names.keys()))

    @property
    def content(self) -> dict[str, Any]:
        """Everything that names depend on, as JSON: not who decided, and when."""
        names = {str(position): name for position, name in sorted(self.names.items())}
        return {"shift": self.shift, "names": names, "false": sorted(self.false)}

    def applied(self, names: Sequence[str | None]) -> list[ReviewedName]:
        """Names after the decisions.

        First every name moves by the shift, along the levels that this spine has: T13 and L6 are
        among them where a vertebra is called so. Then single vertebrae are named, or are none.

        Parameters
        ----------
        names
            Levels without the decisions from the topmost instance down; None for vertebrae without
            a name and for fragments.

        Raises
        ------
        DecisionError
            If there is no such vertebra or nothing to shift, if a name would leave C1 to S1, or if
            names would repeat or be out of order.
        """
        self._check_positions(len(names))
        shifted = list(self._shifted(names))
        found = []
        for position, (before, name) in enumerate(zip(names, shifted, strict=True), start=1):
            if position in self.false:
                found.append(ReviewedName(None, is_reviewed=True, is_false=True))
            elif position in self.names:
                found.append(ReviewedName(self.names[position], is_reviewed=True))
            else:
                found.append(ReviewedName(name, is_reviewed=name != before))
        _check_order(found)
        return found

    def _check_positions(self, count: int) -> None:
        asked = {**dict.fromkeys(self.false, "no vertebra"), **self.names}
        if asked and (last := max(asked)) > count:
            raise DecisionError(
                f"vertebra {last} from the top is decided to be {asked[last]}, but {count} were "
                "found"
            )

    def _shifted(self, names: Sequence[str | None]) -> Iterator[str | None]:
        if not self.shift:
            yield from names
            return
        if not any(names):
            raise DecisionError("all names are to be shifted, but no vertebra has a name")
        optional = {levels()[label].name for label in (T13, L6)} - set(names)
        order = [level.name for level in levels().values() if level.name not in optional]
        for position, name in enumerate(names, start=1):
            if name is None:
                yield None
                continue
            place = order.index(name) + self.shift
            if position in self.false or position in self.names:
                yield name  # it is decided by itself
            elif 0 <= place < len(order):
                yield order[place]
            else:
                raise DecisionError(
                    f"names are to be shifted by {self.shift:+d}, and {name} (vertebra {position} "
                    f"from the top) would leave {order[0]} to {order[-1]}"
                )


def _check_order(found: Sequence[ReviewedName]) -> None:
    """Refuse names that repeat or are out of order, where a decision is to blame."""
    order = {level.name: level.level_order for level in levels().values()}
    named = [(n, name) for n, name in enumerate(found, start=1) if name.level]
    for (upper, above), (lower, below) in pairwise(named):
        is_wrong = order[str(above.level)] >= order[str(below.level)]
        is_sacrum = above.level == below.level == S1  # two pieces of the sacrum
        if is_wrong and not is_sacrum and (above.is_reviewed or below.is_reviewed):
            raise DecisionError(
                f"vertebra {upper} from the top would be {above.level} and vertebra {lower}, below "
                f"it, {below.level}"
            )
