import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from columna.evaluate.paired import compare_paired, holm, walsh_averages

# Hollander and Wolfe, Nonparametric Statistical Methods, table 3.1: Hamilton depression scale
FIRST = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
SECOND = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_published_example_of_hollander_and_wolfe():
    found = compare_paired(FIRST, SECOND, confidence=0.96)
    assert found.statistic == 40
    assert found.p == pytest.approx(0.0391, abs=5e-5)
    assert found.shift == pytest.approx(0.46, abs=5e-4)
    assert (found.shift_low, found.shift_high) == pytest.approx((0.010, 0.786), abs=5e-4)
    assert found.rank_biserial == pytest.approx((40 - 5) / 45)


def test_equal_inputs_have_no_difference():
    found = compare_paired([0.9] * 12, [0.9] * 12)
    assert (found.p, found.shift, found.rank_biserial) == (1, 0, 0)
    assert (found.n, found.n_nonzero, found.statistic) == (12, 0, None)
    assert found.is_non_inferior(0.01)


def test_pairs_without_a_value_are_left_out_and_none_at_all_says_nothing():
    assert compare_paired([1, np.nan, 3], [0, 1, np.nan]).n == 1
    assert compare_paired([np.nan], [1]).p is None
    with pytest.raises(ValueError, match="equally long"):
        compare_paired([1, 2], [1])


def test_too_few_pairs_have_no_interval():
    found = compare_paired([1, 2, 3], [0, 1, 1])
    assert found.shift_low is None
    assert found.is_non_inferior(1) is None


@given(st.lists(st.floats(-5, 5).map(lambda v: round(v, 6)), min_size=6, max_size=25, unique=True))
def test_p_is_that_of_scipy_without_zeros_and_ties(differences):
    kept = [d for d in differences if d != 0 and -d not in differences]
    if len(kept) < 3:
        return
    found = compare_paired(kept, [0.0] * len(kept))
    assert found.p == pytest.approx(stats.wilcoxon(kept, method="exact").pvalue)


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=30), st.floats(-3, 3))
def test_shift_moves_with_the_values_and_swapping_turns_the_sign(values, offset):
    zeros = [0.0] * len(values)
    base = compare_paired(values, zeros)
    moved = compare_paired([v + offset for v in values], zeros)
    assert moved.shift == pytest.approx(base.shift + offset, abs=1e-6)
    swapped = compare_paired(zeros, values)
    assert swapped.shift == pytest.approx(-base.shift, abs=1e-9)
    assert swapped.p == pytest.approx(base.p)
    assert base.shift_low <= base.shift <= base.shift_high


def test_interval_of_many_pairs_covers_the_true_shift():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        found = compare_paired(rng.normal(0.3, 1, 60), np.zeros(60))
        inside += found.shift_low <= 0.3 <= found.shift_high
    assert 180 <= inside <= 198


def test_walsh_averages_hold_every_pair_once():
    assert walsh_averages(np.array([0.0, 2.0])).tolist() == [0, 1, 2]


def test_holm_multiplies_from_the_smallest_and_never_falls():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
