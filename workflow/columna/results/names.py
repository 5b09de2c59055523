"""What participants, sessions, scans and batches may be called.

A scan_id becomes a folder name and is shown in logs, so its alphabet is narrow. The other names
are only ever shown and stored, but must not be able to leave a folder or break a line.
"""

import re

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
