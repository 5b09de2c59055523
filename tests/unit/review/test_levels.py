"""What decisions make of the names of a scan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from columna.anatomy import levels
from columna.errors import DecisionError
from columna.review.decisions import Decision
from columna.review.levels import LevelDecisions

LUMBAR = ["T12", "L1", "L2", "L3", "L4", "L5"]


def names(found):
    return [name.level for name in found]


def test_all_names_move_by_a_shift():
    assert names(LevelDecisions(1).applied(LUMBAR)) == ["L1", "L2", "L3", "L4", "L5", "S1"]
    found = LevelDecisions(-1).applied([None, *LUMBAR])
    assert names(found) == [None, "T11", "T12", "L1", "L2", "L3", "L4"]
    assert [name.is_reviewed for name in found] == [False] + [True] * 6


def test_a_shift_goes_along_the_levels_of_this_spine():
    assert names(LevelDecisions(1).applied(["T12", "T13", "L1"])) == ["T13", "L1", "L2"]
    assert names(LevelDecisions(-1).applied(["L5", "L6"])) == ["L4", "L5"]


def test_a_vertebra_is_named_by_itself():
    found = LevelDecisions(names={1: "T13", 6: "L6"}).applied(LUMBAR[:1] + LUMBAR[1:])
    assert names(found) == ["T13", *LUMBAR[1:5], "L6"]
    assert [name.is_reviewed for name in found] == [True, *[False] * 4, True]
    with_shift = LevelDecisions(1, {6: "L6"}).applied(LUMBAR)
    assert names(with_shift) == ["L1", "L2", "L3", "L4", "L5", "L6"]


def test_a_false_vertebra_has_no_name():
    found = LevelDecisions(false=frozenset({2})).applied(["L1", "L2", "L3"])
    assert names(found) == ["L1", None, "L3"]
    assert found[1].is_false


@pytest.mark.parametrize(
    ("decisions", "before", "said"),
    [
        (LevelDecisions(names={7: "L6"}), LUMBAR, "vertebra 7 .* L6, but 6 were found"),
        (LevelDecisions(false=frozenset({9})), LUMBAR, "vertebra 9 .* 6 were found"),
        (LevelDecisions(false=frozenset({1})), [], "0 were found"),
        (LevelDecisions(2), LUMBAR, r"shifted by \+2, and L5 \(vertebra 6"),
        (LevelDecisions(-1), ["C1", "C2"], "C1 .* would leave C1 to S1"),
        (LevelDecisions(1), [None, None], "no vertebra has a name"),
        (LevelDecisions(1), [], "no vertebra has a name"),
        (LevelDecisions(names={2: "T12"}), LUMBAR, "vertebra 1 .* T12 and vertebra 2.* T12"),
        (LevelDecisions(names={6: "L2"}), LUMBAR, "vertebra 5 .* L4 and vertebra 6.* L2"),
    ],
)
def test_what_cannot_hold_is_told(decisions, before, said):
    with pytest.raises(DecisionError, match=said):
        decisions.applied(before)


def test_names_that_nobody_decided_are_not_judged():
    assert names(LevelDecisions(names={3: "L5"}).applied(["L2", "L1", None])) == ["L2", "L1", "L5"]


ORDERED = [level.name for level in levels().values() if level.name not in ("T13", "L6", "S1")]


@given(st.integers(0, 20), st.integers(1, 4), st.integers(-24, 24))
def test_a_shift_and_its_opposite_change_nothing(first, count, shift):
    before = ORDERED[first : first + count]
    try:
        there = names(LevelDecisions(shift).applied(before))
        back = names(LevelDecisions(-shift).applied(there))
    except DecisionError:
        return
    assert back == before


def test_what_counts_is_the_content():
    def decision(number, kind, at, rater, **known):
        when = f"2026-11-25T18:40:0{at}Z"
        return Decision(f"{number:032x}", "sub-1", kind, **known, rater=rater, decided_at=when)

    rows = [
        decision(1, "shift", 1, "anna", value="1"),
        decision(2, "name", 2, "anna", vertebra="3", value="L6"),
        decision(3, "rate", 3, "anna", domain="names", value="bad"),
        decision(4, "false", 4, "ben", vertebra="1"),
    ]
    found = LevelDecisions.of(rows)
    assert found.content == {"shift": 1, "names": {"3": "L6"}, "false": [1]}
    assert LevelDecisions.of(rows[2:3]) is None
    again = [*rows, decision(5, "shift", 5, "ben", value="+1")]
    assert LevelDecisions.of(again).content == found.content
