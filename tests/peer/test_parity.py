"""Stage by stage against the released package on fresh phantoms (benchmarks/peer/parity.py).

The package runs when a phantom is asked for first: minutes each.
"""

import oracle
import parity
import pytest

pytestmark = [
    pytest.mark.skipif(not oracle.can_run(), reason="the package is not installed"),
    pytest.mark.slow,
]


@pytest.fixture(params=parity.PHANTOMS)
def row(request):
    return parity.compare(request.param)


def test_the_package_finishes(row):
    assert row.vertebrae_n >= 4


def test_every_stage_agrees(row):
    assert row.cleaning.differing_n == 0
    for found in (row.instances, row.w12, row.chain):
        assert found.equal >= 0.999
        assert found.worst_dice >= 0.995
    assert row.structures.equal >= 0.999


def test_vertebrae_as_delivered_are_hardly_ever_farther_from_the_truth(row):
    ours, theirs = row.right
    assert ours >= theirs - 0.005


def test_spaces_with_another_number_are_right(row):
    differing_n, right_n = row.spaces
    assert right_n >= 0.9 * differing_n - 50
