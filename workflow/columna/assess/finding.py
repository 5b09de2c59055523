"""What a rule found about one scan, level or structure."""

import math
from typing import NamedTuple

SCAN = "scan"
"""The item of rules about the whole scan."""


class Finding(NamedTuple):
    """One value; without a value, `status` says why (codes of all ``*_status`` columns)."""

    rule_id: str
    item: str
    value: float | None
    status: str = "ok"


def found(rule_id: str, value: float | None, status: str = "ok", item: str = SCAN) -> Finding:
    """Make a finding; a missing value without a reason is ``error``, one that is not finite too."""
    if value is not None and not math.isfinite(value):
        value = None
    if value is None:
        return Finding(rule_id, item, None, "error" if status == "ok" else status)
    return Finding(rule_id, item, float(value), "ok")
