"""Names that people have put right, in the masks of networks: discs follow, probabilities are 1."""

import numpy as np
import pytest
from drawn_spine import draw_spine

from columna.config import LabelSettings
from columna.errors import ScanRefused
from columna.label import label_masks
from columna.label.naming import namer_of
from columna.label.reviewed import ReviewedNamer
from columna.review.levels import LevelDecisions


def named(decisions=None, count=6, **settings):
    masks = draw_spine(count).volumes()
    known = LabelSettings(**settings)
    namer = namer_of(known)
    if decisions is not None:
        namer = ReviewedNamer(namer, decisions)
    return label_masks(masks[0], *masks, known, namer)


def names(result):
    return [entry["level"] for entry in result.levels]


def test_masks_and_discs_follow_a_shift():
    before, after = named(), named(LevelDecisions(-1))
    assert names(before) == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert names(after) == ["T11", "T12", "L1", "L2", "L3", "L4"]
    old, new = before.instance.array, after.instance.array
    for upper, lower in ((19, 20), (20, 21), (23, 24)):
        for offset in (0, 100, 200):
            assert np.array_equal(old == offset + lower, new == offset + upper), (offset, lower)
    assert {entry["level_anchor"] for entry in after.levels} == {"reviewed"}
    assert {entry["level_confidence"] for entry in after.levels} == {1.0}
    assert after.naming["computed"] == [[entry["label"], entry["level"]] for entry in before.levels]
    assert np.array_equal(before.semantic.array, after.semantic.array)


def test_only_what_is_decided_changes():
    before, after = named(), named(LevelDecisions(names={1: "T13"}))
    assert names(after) == ["T13", *names(before)[1:]]
    assert after.levels[1:] == before.levels[1:]


def test_a_vertebra_that_is_none_has_no_disc():
    after = named(LevelDecisions(false=frozenset({3})))
    piece = after.levels[2]
    assert piece["is_fragment"]
    assert piece["level"] is None
    assert piece["posterior"] == {"false_piece": 1.0}
    assert 21 not in np.unique(after.instance.array)


def test_a_piece_of_the_sacrum_is_no_vertebra():
    after = named(LevelDecisions(1))
    assert names(after) == ["L1", "L2", "L3", "L4", "L5", None]
    assert after.levels[-1]["posterior"] == {"S1": 1.0}
    assert after.levels[-1]["is_fragment"]


def test_numbers_stay_unique_where_some_have_a_name():
    after = named(LevelDecisions(names={2: "L1"}), naming="chain", least_name_p=1.0)
    labels = [entry["label"] for entry in after.levels]
    assert len(set(labels)) == 6
    assert labels[1] == 20
    assert names(after)[1] == "L1"


def test_names_that_were_counted_are_put_right_too():
    after = named(
        LevelDecisions(names={1: "L1"}, false=frozenset({2, 3, 4, 5, 6})), naming="top_down"
    )
    assert names(after) == ["L1", *[None] * 5]


def test_what_cannot_hold_is_refused():
    with pytest.raises(ScanRefused, match=r"vertebra 7 .* 6 were found") as refusal:
        named(LevelDecisions(names={7: "L5"}))
    assert refusal.value.code == "bad_correction"
