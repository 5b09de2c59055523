import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.instance.couples import Couple, find_couples
from columna.instance.merge import merge_couples
from columna.instance.window_parts import Part

SHAPE = (12, 40, 6)


def part(window, rows, columns=(2, 10)):
    box = (slice(*columns), slice(*rows), slice(1, 5))
    mask = np.ones([s.stop - s.start for s in box], bool)
    return Part(window, box, mask, int(mask.sum()))


def full(p):
    dense = np.zeros(SHAPE, bool)
    dense[p.box] = p.mask
    return dense


spans = st.tuples(st.integers(0, 11), st.integers(1, 12)).map(
    lambda s: (min(s), max(s) + (min(s) == max(s)))
)


@given(rows=st.tuples(spans, spans), columns=st.tuples(spans, spans))
@settings(max_examples=60, deadline=None)
def test_dice_of_boxed_parts_is_the_dice_of_the_masks(rows, columns):
    a, b = (part(n, rows[n], columns[n]) for n in range(2))
    dense = 2 * (full(a) & full(b)).sum() / (full(a).sum() + full(b).sum())
    assert a.dice(b) == dense == b.dice(a)


def test_three_views_of_one_vertebra_are_one_couple():
    views = [part(0, (10, 20)), part(1, (10, 19)), part(2, (11, 20))]
    others = [part(0, (24, 34)), part(1, (25, 34))]
    couples = find_couples(sorted([*views, *others], key=lambda p: p.window))
    assert [len(c.members) for c in couples] == [3, 2]
    assert {id(m) for m in couples[0].members} == {id(v) for v in views}
    assert couples[0].score > 0.85


def test_partners_must_be_near_and_agree():
    far = [part(0, (10, 20)), part(3, (10, 20))]
    assert [len(c.members) for c in find_couples(far)] == [1, 1]
    disagreeing = [part(0, (4, 14)), part(1, (10, 20)), part(2, (16, 26))]
    assert max(len(c.members) for c in find_couples(disagreeing)) == 2


def test_parts_without_partner_come_last_and_are_used():
    couples = find_couples([part(0, (0, 8)), part(0, (20, 30)), part(1, (20, 30))])
    assert [c.score for c in couples] == [1.0, 0.0]
    assert merge_couples(couples, SHAPE, 1).max() == 2


def test_majority_of_three():
    views = (part(0, (10, 20)), part(1, (10, 20)), part(2, (14, 24)))
    merged = merge_couples([Couple(views, 0.8)], SHAPE, 1)
    assert np.flatnonzero(merged.any(axis=(0, 2)))[[0, -1]].tolist() == [10, 19]


def test_an_empty_couple_does_not_cost_the_others():
    apart = tuple(part(n, (n * 10, n * 10 + 6)) for n in range(3))
    merged = merge_couples([Couple(apart, 0.9), Couple((part(3, (30, 38)),), 0.0)], SHAPE, 1)
    assert merged.max() == 1, "W7: the package gives up the whole scan"
    assert merged[5, 33, 3] == 1


def test_a_couple_inside_an_instance_is_dropped():
    first = Couple((part(0, (10, 20)),), 0.0)
    mostly_inside = Couple((part(1, (13, 22)),), 0.0)
    half_inside = Couple((part(1, (15, 25)),), 0.0)
    assert merge_couples([first, mostly_inside], SHAPE, 1).max() == 1
    assert merge_couples([first, half_inside], SHAPE, 1).max() == 2


def test_small_pieces_vanish_holes_are_filled_and_numbers_are_consecutive():
    ring = part(1, (20, 30))
    ring.mask[3:5, 4:6, 1:3] = False
    speck = Couple((part(0, (0, 1), (2, 4)),), 1.0)
    merged = merge_couples([speck, Couple((ring,), 0.5)], SHAPE, min_voxels=20)
    assert np.unique(merged).tolist() == [0, 1]
    assert (merged == 1).sum() == 8 * 10 * 4
