"""What Snakemake shows of a job that failed: our sentence and its log, not the frames around it.

The file in ``.snakemake/log`` keeps everything; so does the terminal with ``--verbose``.
"""

import logging
from pathlib import Path

from columna.sentences import PREFIX

TAIL = 200_000
"""Bytes at the end of a log in which they are looked for."""
LINES = 12
NO_WORDS = "it ended without a word (stopped, or out of memory?)"
NOISE = ("CalledProcessError", "At least one job did not complete successfully")
"""What Snakemake says of a failed job besides."""


class Sentences(logging.Formatter):
    """Shows a failed job in its own words; everything else as the formatter `inner` does."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Text of a record."""
        if _event(record) != "JOB_ERROR":
            return self.inner.format(record)
        return told(
            record.__dict__.get("rule_name") or "job",
            record.__dict__.get("output") or [],
            record.__dict__.get("log") or [],
            record.__dict__.get("rule_msg"),
        )


class NoNoise(logging.Filter):
    """Leaves out what repeats that a job failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        return _event(record) != "ERROR" or not any(words in str(record.msg) for words in NOISE)


def told(rule: str, output: list[str], logs: list[str], message: str | None) -> str:
    """What is shown of a failed job.

    Parameters
    ----------
    rule
        Its rule.
    output
        What it should have written.
    logs
        Its logs, that of the command first.
    message
        What the executor says, if it says anything: how a job ended on a cluster.
    """
    names = {Path(file).stem for file in output}
    job = f"{rule} {names.pop()}" if len(names) == 1 else rule
    words = last_words(Path(logs[0])) if logs else None
    said = (words or NO_WORDS).removeprefix(f"{job}: ")
    lines = [f"{job} failed: {said}"]
    if message and not words:
        lines.append(f"  {message}")
    return "\n".join([*lines, *(f"  log: {log}" for log in logs)])


def last_words(log: Path) -> str | None:
    """The sentence that a command ended with, or None if its log does not hold one."""
    try:
        with open(log, "rb") as stream:
            stream.seek(max(log.stat().st_size - TAIL, 0))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    begins = [number for number, line in enumerate(lines) if line.startswith(PREFIX)]
    if not begins:
        return None
    words = lines[begins[-1] : begins[-1] + LINES]
    return "\n".join([words[0].removeprefix(PREFIX), *words[1:]])


def tell_jobs(logger: logging.Logger) -> None:
    """Have the terminal's handler of Snakemake's `logger` show failed jobs in their own words."""
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler" and logger.level > logging.DEBUG:
            handler.addFilter(NoNoise())
            handler.setFormatter(Sentences(handler.formatter))


def _event(record: logging.LogRecord) -> str | None:
    return getattr(getattr(record, "event", None), "name", None)
