import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from columna.evaluate.agreement import agreement, icc_agreement, icc_consistency

# Shrout and Fleiss, Psychological Bulletin 1979, table 2: six subjects, four judges
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
# Bland and Altman, Lancet 1986, table 1: peak flow, first reading of each meter, litres per minute
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_icc_of_shrout_and_fleiss():
    two, three = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
    assert round(two.value, 2) == 0.29
    assert round(three.value, 2) == 0.71
    # Intervals as McGraw and Wong's formulas give them for these data
    assert (round(two.low, 2), round(two.high, 2)) == (0.02, 0.76)
    assert (round(three.low, 2), round(three.high, 2)) == (0.34, 0.95)


def test_limits_of_bland_and_altman():
    found = agreement(MINI, WRIGHT)
    assert round(found.bias, 1) == -2.1
    assert round(found.sd_difference, 1) == 38.8
    # Printed there as -79.7 and 75.5, with two standard deviations for 1.96
    assert found.bias - 2 * found.sd_difference == pytest.approx(-79.7, abs=0.1)
    assert found.bias + 2 * found.sd_difference == pytest.approx(75.5, abs=0.1)
    assert found.limit_low == pytest.approx(found.bias - 1.96 * found.sd_difference)


def test_perfect_agreement_and_a_constant_offset():
    values = [1.0, 2.0, 4.0, 8.0]
    same, moved = agreement(values, values), agreement(values, [v + 1 for v in values])
    assert (same.bias, same.sd_difference, same.icc_agreement.value) == (0, 0, 1)
    assert moved.bias == pytest.approx(1)
    assert moved.icc_consistency.value == pytest.approx(1)
    assert moved.icc_agreement.value < 1


def test_nothing_is_said_of_too_few_or_of_what_never_varies():
    assert agreement([1, 2, np.nan], [1, 2, 3]) is None
    constant = agreement([3, 3, 3, 3], [3, 3, 3, 3])
    assert constant.icc_agreement is None
    assert constant.icc_consistency is None
    assert constant.bias_slope is None


def test_an_error_that_grows_with_the_size_shows_in_the_slope():
    truth = np.linspace(10, 30, 40)
    assert agreement(truth, 1.2 * truth).bias_slope == pytest.approx(0.2 / 1.1)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=4, max_size=20),
    st.floats(-50, 50),
)
def test_swapping_turns_the_bias_and_offsets_do_not_change_consistency(pairs, offset):
    a, b = map(list, zip(*pairs, strict=True))
    found, swapped = agreement(a, b), agreement(b, a)
    assert swapped.bias == pytest.approx(-found.bias, abs=1e-9)
    if found.icc_consistency and np.std(a) > 0.1 and found.sd_difference > 0.1:
        shifted = agreement([v + offset for v in a], b)
        assert shifted.icc_consistency.value == pytest.approx(found.icc_consistency.value, abs=1e-4)
        icc = found.icc_agreement
        if icc.low is not None:
            assert icc.low - 1e-9 <= icc.value <= icc.high + 1e-9
