"""From an input file to the image that the phase-1 network sees.

`read_scan` reads and checks one file; `prepare_scan` corrects, normalises and resamples it. Both
are imported when first used, so that `modality` stays light for the cohort index.
"""

from importlib import import_module
from typing import Any

_HOMES = {"Scan": "read", "read_scan": "read", "read_mask": "read", "prepare_scan": "stage"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
