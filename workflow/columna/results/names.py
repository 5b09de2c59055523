"""What participants, sessions, scans and batches may be called.

A scan_id becomes a folder name and is shown in logs, so its alphabet is narrow. The other names
are only ever shown and stored, but must not be able to leave a folder or break a line.
"""

import re
from pathlib import Path

MISSING = frozenset({"", "n/a", "na", "nan", "none", "<na>", "null", "#n/a"})
"""Words for no value, in lower case: of BIDS, R, pandas, SQL and spreadsheets."""
SCAN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")
BATCH = re.compile(r"b([0-9]{5,})")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
PERSON = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029]{1,120}")
"""A participant_id or session_id: anything on one line that is no path."""


def batch_name(number: int) -> str:
    """Name of the `number`-th batch, counted from 1."""
    return f"b{number:05d}"


def batch_number(name: str) -> int:
    """Parse the number of the batch called `name`."""
    return int(name[1:])


def scan_id_of(scan: Path) -> str:
    """A scan_id from a file name: its stem, with odd characters replaced."""
    stem = scan.name.removesuffix(".gz").removesuffix(".nii")
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip("-.+")
    return "scan" if name.lower() in MISSING else name
