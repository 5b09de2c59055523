"""Slurm's commands, as lines of fields."""

import subprocess

SEPARATOR = "\t"


def ask_slurm(*command: str) -> list[list[str]]:
    """Fields of the lines that a command of Slurm prints.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If there is no such command, or if it fails or takes more than a minute.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    return split_fields(done.stdout)


def split_fields(text: str) -> list[list[str]]:
    """Fields of each line that is not empty, without blanks around them."""
    lines = [line for line in text.splitlines() if line.strip()]
    return [[field.strip() for field in line.split(SEPARATOR)] for line in lines]


def minutes(text: str) -> int | None:
    """Minutes of a duration such as ``2-00:00:00``, ``1:30:00`` or ``30:00``; None: unlimited."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or (days and not days.isdigit()):
        return None
    hours, minute = ([0, 0] + [int(part) for part in parts[:-1]])[-2:]
    return (int(days or 0) * 24 + hours) * 60 + minute


def megabytes(text: str) -> int:
    """Megabytes of a size such as ``6000M``, ``6G`` or ``16000``; 0 where none is asked for."""
    number = text.rstrip("cnBKMGTP")
    unit = text[len(number) :].rstrip("cnB") or "M"
    try:
        return int(float(number) * {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}[unit])
    except (KeyError, ValueError):
        return 0
