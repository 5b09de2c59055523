"""From the image, with both networks in float32, to the stored answers of the released package."""

import chain
import oracle
import pytest

pytestmark = [
    pytest.mark.skipif(not oracle.can_run(), reason="the package is not installed"),
    pytest.mark.slow,
]
SCANS = ("ph3",)


@pytest.mark.parametrize("scan", SCANS)
def test_the_package_repeats_its_stored_answer(scan):
    today = chain.intermediates(scan)
    for name in ("spine-raw", "vert-raw", "spine", "vert"):
        stored = oracle.stored_answer("trained", scan).mask(name)
        assert (today.mask(name).array == stored.array).all()


@pytest.mark.parametrize("scan", SCANS)
def test_the_chain_ends_where_the_package_ends(scan):
    """What is left are the package's float16 sums and network input (docs/peer.md)."""
    row = chain.compare_chain(scan, chain.with_their_n4(scan))
    for found in (row.raw_structures, row.structures, row.vertebrae):
        assert found.equal >= 0.999
    assert row.raw_instances.equal >= 0.998
    assert row.raw_instances.worst_dice >= 0.995
    assert row.vertebrae.worst_dice >= 0.99


def test_n4_is_that_of_the_package_where_the_scan_is_stored_as_n4_runs():
    median, high = chain.n4_difference("ph1")
    assert median <= 0.02
    assert high <= 0.05
