"""The file of decisions, ``corrections.tsv``: one row per decision, appended, never changed.

Files of several raters can be concatenated in any order, with or without their headers: a row is
known by its ``decision_id``, and what is in force depends on the rows alone. docs/corrections.md
says what each decision does.
"""

import csv
import errno
import fcntl
import hashlib
import io
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from columna.anatomy import levels
from columna.cohort.delimited import DelimitedText, read_delimited
from columna.domains import DOMAINS
from columna.errors import CohortError, DecisionError
from columna.files import NotRegularError, open_regular

RATE: Final = "rate"
SHIFT: Final = "shift"
NAME: Final = "name"
FALSE: Final = "false"
EXCLUDE: Final = "exclude"
INCLUDE: Final = "include"
UNDO: Final = "undo"
RATINGS = ("good", "usable", "bad")
MOST_LEVELS = 25
"""Names that a shift may move by, and more than any scan has."""
MOST_VERTEBRAE = 99
LONGEST_COMMENT = 1000
LONGEST_ID = 255

_ID = re.compile(r"[0-9a-f]{32}")
_RATER = re.compile(r"[A-Za-z0-9._-]{1,32}")
_CODE = re.compile(r"[A-Za-z0-9._-]{0,64}")
_POSITION = re.compile(r"[1-9][0-9]?")
_STEPS = re.compile(r"[+-]?[1-9][0-9]?")
_BREAKS = re.compile(r"[\t\n\v\f\r\x00\x1c-\x1e\x85\u2028\u2029]")
"""What would end a field or a line somewhere."""
_USES: dict[str, frozenset[str]] = {
    RATE: frozenset({"domain", "value"}),
    SHIFT: frozenset({"value"}),
    NAME: frozenset({"vertebra", "value"}),
    FALSE: frozenset({"vertebra"}),
    EXCLUDE: frozenset(),
    INCLUDE: frozenset(),
    UNDO: frozenset({"value"}),
}
"""Decision -> what it needs of `domain`, `vertebra` and `value`; the others are empty."""


@dataclass(frozen=True)
class Decision:
    """One row: what somebody decided about a scan.

    Parameters
    ----------
    decision_id
        32 hexadecimal digits.
    scan_id
        The scan.
    decision
        ``rate``, ``shift``, ``name``, ``false``, ``exclude``, ``include`` or ``undo``.
    domain
        What is rated (`columna.domains.DOMAINS`).
    vertebra
        Position from the top among the vertebrae of the result without corrections, as text: 1 is
        the topmost one, cut ones count. Empty for decisions about the whole scan.
    value
        Rating, number of levels caudally, level, or the ``decision_id`` that is taken back.
    reason
        A short code, or empty.
    comment
        Text for people, at most `LONGEST_COMMENT` characters.
    rater
        Handle of who decided.
    decided_at
        ISO 8601, UTC, whole seconds: ``2026-11-25T18:40:00Z``.
    """

    decision_id: str
    scan_id: str
    decision: str
    domain: str = ""
    vertebra: str = ""
    value: str = ""
    reason: str = ""
    comment: str = ""
    rater: str = ""
    decided_at: str = ""

    @classmethod
    def made(cls, scan_id: str, decision: str, rater: str, **known: str) -> "Decision":
        """A decision of now, with an id of its own.

        Raises
        ------
        DecisionError
            If the values are not those of a decision.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = cls(uuid.uuid4().hex, scan_id, decision, **known, rater=rater, decided_at=now)
        return new.checked()

    def checked(self) -> "Decision":
        """The decision as it is written: fields without breaks, time in UTC.

        Raises
        ------
        DecisionError
            Saying what is wrong with it.
        """
        values = [_BREAKS.sub(" ", value).strip() for value in astuple(self)]
        clean = Decision(*values)
        try:
            clean = replace(clean, decided_at=_utc(clean.decided_at))
        except (ValueError, OverflowError):
            raise DecisionError(
                f"decided_at is {self.decided_at!r}; it must be a time such as 2026-11-25T18:40:00Z"
            ) from None
        if not clean.decision_id:
            clean = replace(clean, decision_id=_id_of(clean))
        if problem := _problem(clean):
            raise DecisionError(problem)
        return clean

    @property
    def order(self) -> tuple[str, str]:
        """By what decisions are ordered: time, then id."""
        return self.decided_at, self.decision_id

    @property
    def steps(self) -> int:
        """Of a shift: by how many levels names move caudally."""
        return int(self.value)

    @property
    def position(self) -> int:
        """Of a name, or a false vertebra: its position, counted from 1 at the top."""
        return int(self.vertebra)


FIELDS = tuple(field.name for field in fields(Decision))
"""Names of the columns, in the order in which they are written."""


def read_decisions(path: Path) -> list[Decision]:
    """Read a file of decisions.

    Parameters
    ----------
    path
        UTF-8 text with tabs, as `append_decision` writes it or a spreadsheet saves it: columns in
        any order, columns without a value left out, columns of your own behind them. A row without
        ``decision_id`` is known by its content; repeated rows, and headers of concatenated files
        (with the same columns), count once.

    Returns
    -------
    list of Decision
        In order of time, then of id; [] for an empty file.

    Raises
    ------
    DecisionError
        Naming file and line: the row is no decision, or says another thing under a known id.
    OSError
        If the file cannot be read.
    """
    try:
        open_regular(path).close()  # reading a pipe would wait for ever
        text = read_delimited(path, "\t")
    except (CohortError, NotRegularError) as error:
        raise DecisionError(str(error)) from error
    _check_header(path, text.header)
    by_id: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    for line, decision in _decisions(path, text):
        known = by_id.setdefault(decision.decision_id, decision)
        lines.setdefault(decision.decision_id, line)
        if known != decision:
            raise DecisionError(
                f"{path}: line {line}: line {lines[decision.decision_id]} has the same decision_id "
                "and decides something else; decisions are taken back with 'undo', not edited"
            )
    for decision in by_id.values():
        if problem := _undo_problem(decision, by_id):
            raise DecisionError(f"{path}: line {lines[decision.decision_id]}: {problem}")
    return sorted(by_id.values(), key=lambda d: d.order)


def append_decision(path: Path, decision: Decision) -> None:
    """Add a row at the end, on the disk when this returns; several processes may do so at once.

    A row is one write at the end of the file, so a process that is killed leaves it whole or not
    at all. The columns are those of the file, or `FIELDS` where it is new.

    Parameters
    ----------
    path
        The file; it and its folder are made if they are not there.
    decision
        What was decided; its fields are written with breaks replaced by a space.

    Raises
    ------
    DecisionError
        If it is no decision, or the file lacks columns.
    OSError
        If the file cannot be written.
    """
    decision = decision.checked()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _locked(path)
    try:
        header, ending = _head_and_ending(handle)
        columns = list(FIELDS)
        if header.strip():
            columns = _columns_of(path, header)
        else:
            ending += _line(FIELDS)
        row = ending + _line([getattr(decision, name, "") for name in columns])
        _write(handle, row.encode())
    finally:
        os.close(handle)


def in_force(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that count, in order of time, then of id.

    What was taken back does not count, whoever took it back. Of the rest, the latest counts of

    * the ratings of a domain of a scan by one rater,
    * the shifts of a scan,
    * what is said of one vertebra (``name`` or ``false``),
    * ``exclude`` and ``include`` of a scan.

    Parameters
    ----------
    decisions
        In any order, those that take back among them.
    """
    every = {decision.decision_id: decision for decision in decisions}
    gone = {d.value for d in every.values() if d.decision == UNDO}
    latest: dict[tuple[str, ...], Decision] = {}
    for decision in sorted(every.values(), key=lambda d: d.order):
        if decision.decision != UNDO and decision.decision_id not in gone:
            latest[_subject(decision)] = decision
    return sorted(latest.values(), key=lambda d: d.order)


def for_scan(decisions: Iterable[Decision], scan_id: str) -> list[Decision]:
    """All decisions about a scan, those that were taken back included."""
    return [decision for decision in decisions if decision.scan_id == scan_id]


def _subject(decision: Decision) -> tuple[str, ...]:
    """What a decision is about: the latest about the same counts."""
    match decision.decision:
        case "rate":
            about: tuple[str, ...] = (RATE, decision.domain, decision.rater)
        case "name" | "false":
            about = (NAME, decision.vertebra)
        case "exclude" | "include":
            about = (EXCLUDE,)
        case other:
            about = (other,)
    return (decision.scan_id, *about)


def _problem(decision: Decision) -> str | None:
    """What is wrong with a decision, or None."""
    if decision.decision not in _USES:
        return f"decision is {decision.decision!r}; it must be one of {', '.join(_USES)}"
    if not _ID.fullmatch(decision.decision_id):
        return (
            f"decision_id is {decision.decision_id!r}; it must be 32 hexadecimal digits, or empty"
        )
    if not 0 < len(decision.scan_id) <= LONGEST_ID:
        return "scan_id is empty" if not decision.scan_id else "scan_id is too long"
    if not _RATER.fullmatch(decision.rater):
        return (
            f"rater is {decision.rater!r}; it must be 1 to 32 letters (A to Z), digits, '-', '_' "
            "and '.'"
        )
    if not _CODE.fullmatch(decision.reason):
        return (
            f"reason is {decision.reason!r}; it must be a code of letters, digits, '-', '_' and "
            "'.'; text belongs in comment"
        )
    if len(decision.comment) > LONGEST_COMMENT:
        return f"comment has more than {LONGEST_COMMENT} characters"
    return _problem_of_use(decision) or _problem_of_value(decision)


def _problem_of_use(decision: Decision) -> str | None:
    """A field that the decision needs and lacks, or has and does not use."""
    for name in ("domain", "vertebra", "value"):
        needed, value = name in _USES[decision.decision], getattr(decision, name)
        if needed and not value:
            return f"'{decision.decision}' needs a {name}"
        if value and not needed:
            return f"'{decision.decision}' has no {name}, and this row says {value!r}"
    return None


def _problem_of_value(decision: Decision) -> str | None:
    kind, value = decision.decision, decision.value
    if kind == RATE and decision.domain not in DOMAINS:
        return f"domain is {decision.domain!r}; it must be one of {', '.join(DOMAINS)}"
    if kind == RATE and value not in RATINGS:
        return f"value is {value!r}; a rating is one of {', '.join(RATINGS)}"
    if kind == SHIFT and not (_STEPS.fullmatch(value) and abs(int(value)) <= MOST_LEVELS):
        return f"value is {value!r}; a shift is a number of levels such as +1 (caudally) or -1"
    if decision.vertebra and not _POSITION.fullmatch(decision.vertebra):
        return f"vertebra is {decision.vertebra!r}; it must be a position from the top, 1 or more"
    if kind == NAME and value not in {level.name for level in levels().values()}:
        return f"value is {value!r}; a level is one of C1 to C7, T1 to T13, L1 to L6, S1"
    if kind == UNDO and not _ID.fullmatch(value):
        return f"value is {value!r}; 'undo' names the decision_id of what it takes back"
    return None


def _undo_problem(decision: Decision, by_id: dict[str, Decision]) -> str | None:
    """What is wrong with what a decision takes back, as far as it is known."""
    taken = by_id.get(decision.value) if decision.decision == UNDO else None
    if taken is None:
        return None
    if taken.decision == UNDO:
        return "this takes back an 'undo'; make the decision once more instead"
    if taken.scan_id != decision.scan_id:
        return f"this takes back a decision about another scan, {taken.scan_id!r}"
    return None


def _utc(text: str) -> str:
    """A time as it is written; without an offset it is UTC, without an hour the day's begin."""
    time = datetime.fromisoformat(text)
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _id_of(decision: Decision) -> str:
    """Id of a row that was written by hand without one: the same row has the same id."""
    content = "\t".join(astuple(decision)[1:])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _check_header(path: Path, header: list[str]) -> None:
    needed = {"scan_id", "decision", "rater", "decided_at"}
    if header and (missing := needed - set(header)):
        raise DecisionError(
            f"{path}: line 1: the column {min(missing)} is missing; the columns are "
            f"{', '.join(FIELDS)}, with tabs in between"
        )
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise DecisionError(f"{path}: line 1: the column {min(repeated)} is there twice")


def _decisions(path: Path, text: DelimitedText) -> Iterator[tuple[int, Decision]]:
    """Line and decision of every row."""
    for line, row in zip(text.lines, text.rows, strict=True):
        if [value.strip() for value in row] == text.header:
            continue  # of a file that was appended
        where = f"{path}: line {line}"
        if len(row) != len(text.header):
            raise DecisionError(
                f"{where}: {len(row)} values for {len(text.header)} columns; is a tab missing, or "
                "was the line cut off?"
            )
        values = dict(zip(text.header, row, strict=True))
        known = {name: values.get(name, "") for name in FIELDS}
        try:
            yield line, Decision(**known).checked()
        except DecisionError as error:
            raise DecisionError(f"{where}: {error}") from error


def _locked(path: Path) -> int:
    """`path`, open and ours alone; a file that replaced it while we waited is taken instead."""
    while True:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(path, flags, 0o666)
        ours = os.fstat(handle)
        if not stat.S_ISREG(ours.st_mode):
            os.close(handle)
            raise DecisionError(f"{path}: not a regular file")
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            there = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            there = None
        if there and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return handle
        os.close(handle)


def _head_and_ending(handle: int) -> tuple[str, str]:
    """First line of the file, and what is missing at its end: a line break or nothing."""
    size = os.fstat(handle).st_size
    if not size:
        return "", ""
    first = os.pread(handle, 65536, 0).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    header = first.partition(b"\n")[0].decode(errors="replace")
    return header, "" if os.pread(handle, 1, size - 1) == b"\n" else "\n"


def _columns_of(path: Path, header: str) -> list[str]:
    columns = [name.strip().strip('"') for name in header.split("\t")]
    if missing := [name for name in FIELDS if name not in columns]:
        raise DecisionError(
            f"{path}: the column {missing[0]} is missing, so nothing can be added; the columns are "
            f"{', '.join(FIELDS)}, with tabs in between"
        )
    return columns


def _line(values: Iterable[str]) -> str:
    """A row as `columna.cohort.delimited` and spreadsheets read it: quotes are doubled."""
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t", lineterminator="\n").writerow(values)
    return stream.getvalue()


def _write(handle: int, content: bytes) -> None:
    """One write; a full disk leaves nothing of it."""
    size = os.fstat(handle).st_size
    try:
        written = os.write(handle, content)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise
    if written != len(content):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
