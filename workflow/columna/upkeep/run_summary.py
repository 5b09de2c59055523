"""What a finished run delivered: a screenful, with what asks for somebody's action first."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import duckdb

from columna.parquet import reading
from columna.results.layout import Layout
from columna.tables.delivered import REMEDY, delivered_table

LINES = 20
"""Lines that a table takes at most, with title and header."""
LEAST_WIDTH = 24
"""Characters of the last column that are shown however narrow the terminal is."""
SEPARATOR = "  "

OUTCOMES = ("failed", "refused", "fail", "review", "other image", "pass")
"""How an input came out, those that ask for action first. Of scans that are done, the verdict on
their quality; other images are no sagittal T2w scans, which is no fault of theirs."""

_INPUTS = """
    CREATE TEMP TABLE inputs AS SELECT
        scan_id,
        CASE WHEN is_other_image THEN 'other image'
             WHEN processing_status != 'done' THEN processing_status::VARCHAR
             ELSE coalesce(qc_verdict::VARCHAR, 'review') END AS outcome,
        CASE WHEN processing_status = 'done' THEN coalesce(qc_reasons, '')
             ELSE coalesce(processing_code, '') END AS why,
        CASE WHEN processing_status = 'done' THEN ''
             ELSE coalesce(processing_reason, '') END AS reason,
        list_position($outcomes, outcome) AS urgency
    FROM read_parquet($file)
"""
_CAUSES = """
    SELECT outcome, count(*), min(scan_id), cause
    FROM (SELECT *, unnest(string_split(why, ';')) AS cause FROM inputs WHERE outcome != 'pass')
    GROUP BY urgency, outcome, cause ORDER BY urgency, count(*) DESC, cause
"""
_FIRST = "SELECT scan_id, outcome, why, reason FROM inputs ORDER BY urgency, scan_id"
_VERTEBRAE = """
    SELECT scan_id, coalesce(level::VARCHAR, ''), presence::VARCHAR,
           round(body_volume_mm3 / 1000, 1), round(height_middle_mm, 1), round(depth_mm, 1),
           round(wedge_angle_deg, 1) + 0
    FROM vertebrae JOIN inputs USING (scan_id)
    WHERE presence IN ('complete', 'lateral_cut', 'partial')
    ORDER BY urgency DESC, scan_id, level_order, spineps_label
"""


def summary(layout: Layout) -> Iterator[str]:
    """Tell how the inputs came out, and the first vertebrae, line by line.

    Raises
    ------
    TableError
        If the tables have not been collected, or one is damaged.
    """
    _, scans = delivered_table(layout.tables, "scans")
    _, vertebrae = delivered_table(layout.tables, "vertebrae")
    database = duckdb.connect(config={"threads": 1})
    with reading(scans, REMEDY):
        database.execute(_INPUTS, {"file": str(scans), "outcomes": list(OUTCOMES)})
        yield from _inputs(database, layout)
    with reading(vertebrae, REMEDY):
        database.read_parquet(str(vertebrae)).create_view("vertebrae")
        yield from _table(
            "First vertebrae",
            ("scan", "level", "presence", "body cm3", "height mm", "depth mm", "wedge deg"),
            *_first(database, _VERTEBRAE),
            f"in {vertebrae}",
        )
    yield f"Masks: {layout.derivatives}   Tables: {layout.tables}"


def _inputs(database: duckdb.DuckDBPyConnection, layout: Layout) -> Iterator[str]:
    counted = "SELECT outcome, count(*) FROM inputs GROUP BY outcome"
    counts = dict(database.execute(counted).fetchall())
    done = sum(counts.get(verdict, 0) for verdict in ("fail", "review", "pass"))
    yield (
        f"{sum(counts.values())} inputs: {done} done, {counts.get('refused', 0)} refused, "
        f"{counts.get('failed', 0)} failed, {counts.get('other image', 0)} no sagittal T2w scan"
    )
    yield (
        f"Quality of those that are done: {counts.get('pass', 0)} pass, "
        f"{counts.get('review', 0)} review, {counts.get('fail', 0)} fail (docs/quality.md)"
    )
    yield ""
    yield from _table(
        "What to look at",
        ("outcome", "scans", "for example", "reason or rule"),
        *_first(database, _CAUSES),
        "in the table quality",
    )
    yield from _table(
        "Scans",
        ("scan", "outcome", "reason or rules", "in words"),
        *_first(database, _FIRST),
        f"in {layout.tables / 'scans.parquet'}; `columna status --failures` lists all that are "
        "not done",
    )


def _first(database: duckdb.DuckDBPyConnection, query: str) -> tuple[list[tuple], int]:
    """As many rows as a table may show, and how many there are."""
    [(rows_n,)] = database.execute(f"SELECT count(*) FROM ({query})").fetchall()  # noqa: S608
    room = LINES - 2 if rows_n <= LINES - 2 else LINES - 3
    return database.execute(f"{query} LIMIT {room}").fetchall(), rows_n


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], rows_n: int, more: str
) -> Iterator[str]:
    """Aligned columns; all but the last one are never cut, whatever the terminal's width."""
    shown = [[_printable(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)][:-1]
    room = sys.maxsize
    if sys.stdout.isatty():
        taken = sum(widths) + len(SEPARATOR) * len(widths)
        room = max(shutil.get_terminal_size().columns - taken, LEAST_WIDTH)
    yield title
    for *cells, last in (header, *shown):
        left = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        end = last if len(last) <= room else f"{last[: room - 3]}..."
        yield SEPARATOR.join([*left, end]).rstrip()
    if rows_n > len(shown):
        yield f"... and {rows_n - len(shown)} more {more}"
    yield ""


def _printable(value: Any) -> str:
    """A value on one line, without what would command the terminal."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
