"""Which scans are looked at, and in which order."""

import hashlib
from collections.abc import Iterable

from columna.viewer.reviewed_scans import ReviewedScan

WRONG_CORRECTION = "bad_correction"
"""Code of scans that were refused because their corrections cannot hold."""
_DOUBT = {"fail": 0, "review": 1, "pass": 2}


def doubtful_first(scans: Iterable[ReviewedScan]) -> list[ReviewedScan]:
    """All measured scans: by verdict, then by the probability of the least probable name.

    Before them those whose corrections cannot hold, so that somebody takes them back.
    """
    wanted = [scan for scan in scans if scan.status == "done" or scan.code == WRONG_CORRECTION]
    return sorted(
        wanted,
        key=lambda scan: (
            scan.code != WRONG_CORRECTION,
            _DOUBT.get(scan.verdict or "", 1),
            1.0 if scan.least_p is None else scan.least_p,
            scan.scan_id,
        ),
    )


def random_sample(scans: Iterable[ReviewedScan], count: int, seed: int) -> list[ReviewedScan]:
    """`count` measured scans at random, in random order.

    The same seed gives the same scans to every rater, whatever the verdicts are; when scans are
    added to the cohort, those of the sample stay but for the ones that new ones take the place of.
    """

    def rank(scan: ReviewedScan) -> str:
        return hashlib.sha256(f"{seed} {scan.scan_id}".encode()).hexdigest()

    return sorted((scan for scan in scans if scan.status == "done"), key=rank)[:count]
