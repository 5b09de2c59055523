"""TSV and CSV files as people write them: every line is a row, unless quotes clearly say otherwise.

Quotes are read as RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180) has them only where a value
is quoted as a whole; any other quote is a character like all others (``6" coil``,
``"head first" supine``). A quote that opens a value and does not close it on its line may be a
stray one or begin a value of several lines. Taken for the wrong one, it swallows rows, so a file
that allows both readings is refused with the number of the line.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from columna.errors import CohortError

BOM = b"\xef\xbb\xbf"
LONGEST_VALUE = 1000
"""Lines that a quoted value may have; a quote that closes later than that is a stray one."""
_CLOSED = {d: re.compile(rf' *"((?:[^"]|"")*+)" *(?={d}|\Z)') for d in "\t,"}
_OPEN = re.compile(r' *"(?:[^"]|"")*+\Z')


class DelimitedText(NamedTuple):
    """Header and rows of a file; row `i` begins on line ``lines[i]``, counted from 1."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_delimited(path: Path, delimiter: str) -> DelimitedText:
    """Read a TSV or CSV file.

    Lines without any character but blanks and delimiters are no rows, and fields without a value
    after the last one that the header names are no fields. All other rows are kept, with as many
    fields as they have.

    Parameters
    ----------
    path
        UTF-8 text, with or without a byte order mark, with any line ends.
    delimiter
        A tab or a comma.

    Raises
    ------
    CohortError
        Naming file and line: text that is not UTF-8, quotes that can be read in two ways.
    OSError
        If the file cannot be read.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    filled = (n for n, line in enumerate(lines) if line.strip(" \t\r\n,"))
    first = next(filled, len(lines))
    header: list[str] = []
    if first < len(lines):
        header, open_at = _split(_without_end(lines[first]), delimiter)
        if open_at is not None:
            raise CohortError(f"{path}: line {first + 1}: the header has a quote that stays open")
    header = _trimmed([name.strip() for name in header], 0)
    rows, numbers = [], []
    for number, fields in _records(lines, first + 1, len(header), delimiter, path):
        if any(field.strip() for field in fields):
            rows.append(_trimmed(fields, len(header)))
            numbers.append(number)
    return DelimitedText(header, rows, numbers)


def _text(path: Path) -> str:
    content = path.read_bytes().removeprefix(BOM)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = len((content[: error.start] + b".").splitlines())
        raise CohortError(f"{path}: line {line}: not UTF-8 text; save the file as UTF-8") from error


def _records(
    lines: list[str], start: int, width: int, delimiter: str, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row; most rows are one line."""
    while start < len(lines):
        fields, open_at = _split(_without_end(lines[start]), delimiter)
        end = start + 1
        if open_at is not None:
            joined, closed_at = _joined(lines, start, open_at, delimiter)
            if closed_at and len(joined) == width:
                widths = [
                    len(_split(_without_end(line), delimiter)[0]) for line in lines[start:closed_at]
                ]
                if _is_one_value(widths, width, f"{path}: line {start + 1}", closed_at):
                    fields, end = joined, closed_at
        yield start + 1, fields
        start = end


def _joined(lines: list[str], start: int, open_at: int, delimiter: str) -> tuple[list[str], int]:
    """Fields of the row that begins at `start` if its quote at `open_at` closes on a later line.

    The second value is the number of lines up to there, 0 where it does not close.
    """
    text = lines[start]
    for end in range(start + 1, min(start + LONGEST_VALUE, len(lines))):
        text += lines[end]
        record = _without_end(text)
        if '"' not in lines[end] or _OPEN.match(record, open_at):
            continue
        if not _CLOSED[delimiter].match(record, open_at):
            return [], 0
        fields, still_open = _split(record, delimiter)
        if still_open is None:
            return fields, end + 1
        open_at = still_open
    return [], 0


def _is_one_value(widths: list[int], width: int, where: str, closed_at: int) -> bool:
    """Whether lines with so many fields each are one row with a value of several lines."""
    whole = [found == width for found in widths]
    if all(whole):
        return False  # rows, two of which have a stray quote
    if any(whole[1:-1]) or (whole[0] and whole[-1]):
        raise CohortError(
            f"{where}: a quote opens a value here and closes on line {closed_at}, with whole rows "
            "in between; remove the stray quotes, or the line breaks within the value"
        )
    return True


def _split(record: str, delimiter: str) -> tuple[list[str], int | None]:
    """Fields of a record, and where the field begins whose quote stays open, if there is one."""
    if '"' not in record:
        return record.split(delimiter), None
    fields, place, open_at = [], 0, None
    while place <= len(record):
        if closed := _CLOSED[delimiter].match(record, place):
            fields.append(closed[1].replace('""', '"'))
            end = closed.end()
        else:
            if open_at is None and _OPEN.match(record, place):
                open_at = place
            end = record.find(delimiter, place)
            end = len(record) if end < 0 else end
            fields.append(record[place:end])
        place = end + 1
    return fields, open_at


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _trimmed(fields: list[str], least: int) -> list[str]:
    """`fields` without empty ones at the end, but `least` of them."""
    end = len(fields)
    while end > least and not fields[end - 1].strip():
        end -= 1
    return fields[:end]
