"""Status codes of what is made from several parts."""

from collections import Counter
from collections.abc import Iterable


def commonest(codes: Iterable[str], default: str) -> str:
    """The most frequent of some codes, the first of equally frequent ones; `default` of none."""
    counts = Counter(codes)
    return counts.most_common(1)[0][0] if counts else default
