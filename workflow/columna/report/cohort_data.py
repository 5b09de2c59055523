"""Numbers of the cohort page: the flow of scans, verdicts, distributions and drift."""

from collections.abc import Iterator
from typing import Any

from columna.anatomy import levels
from columna.report.numbered_tables import NumberedTables, quoted
from columna.report.shown_measures import GROUPS, SCAN_MEASURES, described, described_columns
from columna.tables.reasons import reason_table

EXTREMES, OTHERS = 12, 24
"""Scans that a chart shows per level or group as points: farthest from the median, and others."""
MOST_GROUPS = 40
FEWEST_SCANS = 3
"""Scans that a group has at least."""
QUANTILES = "[0.05, 0.25, 0.5, 0.75, 0.95]"
FACTS = ("manufacturer", "model_name", "field_strength_t")
"""Columns of `scans` that may bring drift, besides batch and the cohort's own columns."""
FIRST = ("site", "center", "centre", *FACTS, "batch")
"""What is shown before the cohort's other columns."""


def flow(source: NumberedTables) -> list[dict[str, Any]]:
    """Steps from inputs to measured scans: how many come in, and who leaves and why."""
    found = source.rows(
        "SELECT processing_status, coalesce(processing_stage, ''), coalesce(processing_code, ''), "
        "count(*) FROM scans GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
    )
    left = source.scans_n
    steps = []
    for title, stages in (
        ("Inputs in the cohort", ("index",)),
        ("Scans in the index", ("prepare",)),
        ("Scans that could be read", ("semantic", "instance", "label")),
        ("Scans with vertebrae", ("measure", "assess", "")),
    ):
        gone = [
            {"code": code, "meaning": _meaning(code), "status": status, "n": n}
            for status, stage, code, n in found
            if status != "done" and stage in stages
        ]
        steps.append({"title": title, "n": left, "gone": gone})
        left -= sum(entry["n"] for entry in gone)
    return [*steps, {"title": "Measured scans", "n": left, "gone": []}]


def verdicts(source: NumberedTables) -> list[tuple[str, int]]:
    """Verdict of the quality rules -> measured scans."""
    found = dict(
        source.rows(
            "SELECT qc_verdict, count(*) FROM scans WHERE processing_status = 'done' GROUP BY ALL"
        )
    )
    return [(verdict, found.get(verdict, 0)) for verdict in ("pass", "review", "fail")]


def reasons(source: NumberedTables) -> list[tuple[str, int]]:
    """Rule -> measured scans that it asks to look at."""
    return source.rows(
        "SELECT reason, count(*) FROM (SELECT unnest(string_split(qc_reasons, ';')) AS reason "
        "FROM scans WHERE processing_status = 'done') WHERE reason != '' "
        "GROUP BY ALL ORDER BY count(*) DESC, reason"
    )


def distributions(source: NumberedTables) -> list[dict[str, Any]]:
    """Every measure by level: quantiles, and points that lead to their scans."""
    measures = {(m["table"], m["column"]): m for m in described()}
    return [
        measures[group.table, column] | {"levels": _by_level(source, group, column)}
        for group in GROUPS
        for column in group.columns
    ]


def _by_level(source: NumberedTables, group: Any, column: str) -> list[dict[str, Any]]:
    names = {level.name for level in levels().values()}
    found = source.rows(
        f"WITH v AS (SELECT {group.level} AS level, level_order, n, {column} AS value "  # noqa: S608
        f"FROM {group.table} JOIN numbered USING (scan_id) "
        f"WHERE {column} IS NOT NULL AND {group.level} IS NOT NULL AND {group.where}), "
        "m AS (SELECT level, median(value) AS middle FROM v GROUP BY level) "
        f"SELECT level, count(*), quantile_cont(value, {QUANTILES}), "
        f"{_points('v.value', 'middle')} "
        "FROM v JOIN m USING (level) GROUP BY level ORDER BY min(level_order)"
    )
    return [_summary("level", row) for row in found if row[0] in names]


def _points(value: str, middle: str) -> str:
    """SQL: numbers and values of scans far from the middle, and of some others; never by chance."""
    pair = f"[n::DOUBLE, {value}::DOUBLE]"
    distance = f"(round(abs({value} - {middle}) * 10000)::HUGEINT * 100000000 + n)"
    return (
        f"list_distinct(list_concat(max_by({pair}, {distance}, {EXTREMES}), "
        f"min_by({pair}, hash(n), {OTHERS})))"
    )


def _summary(key: str, row: tuple[Any, ...]) -> dict[str, Any]:
    name, count, quantiles, points = row
    return {
        key: name,
        "n": count,
        "q": [round(q, 3) for q in quantiles],
        "points": sorted([int(n), round(value, 3)] for n, value in points),
    }


def drift(source: NumberedTables) -> dict[str, Any]:
    """How measures differ between sites, scanners and batches.

    A measure of levels is the mean over the levels of a scan of how far the value lies from the
    cohort's median of the level, in robust SD (interquartile range / 1.349), so that scans of
    other parts of the spine compare.
    """
    measures = list(_drift_tables(source))
    groupings = [name for name in _groupings(source) if _has_groups(source, name)]
    shown = [
        {**measure, "by": {name: _by_group(source, number, name) for name in groupings}}
        for number, measure in enumerate(measures)
    ]
    return {"groupings": groupings, "measures": shown}


def _drift_tables(source: NumberedTables) -> Iterator[dict[str, Any]]:
    """Make tables ``drift_<k>`` (n, value), one per measure; say what they hold."""
    number = 0
    known = {(m["table"], m["column"]): m for m in described()}
    for group in GROUPS:
        for column in group.drift:
            source.run(
                f"CREATE TABLE drift_{number} AS WITH v AS (SELECT {group.level} AS level, n, "  # noqa: S608
                f"{column} AS value FROM {group.table} JOIN numbered USING (scan_id) "
                f"WHERE {column} IS NOT NULL AND {group.level} IS NOT NULL AND {group.where}), "
                "m AS (SELECT level, median(value) AS middle, (quantile_cont(value, 0.75) - "
                "quantile_cont(value, 0.25)) / 1.349 AS sd FROM v GROUP BY level) "
                "SELECT n, avg((value - middle) / sd) AS value "
                "FROM v JOIN m USING (level) WHERE sd > 0 GROUP BY n"
            )
            yield known[group.table, column] | {"unit": "robust SD"}
            number += 1
    for measure in described_columns("scans", SCAN_MEASURES):
        source.run(
            f"CREATE TABLE drift_{number} AS SELECT n, {measure['column']} AS value "  # noqa: S608
            f"FROM scans JOIN numbered USING (scan_id) WHERE {measure['column']} IS NOT NULL"
        )
        yield {"table": "scans", **measure}
        number += 1


def _groupings(source: NumberedTables) -> list[str]:
    """Make the table ``groups`` (n, one text column per grouping); names of its columns."""
    own = source.own_columns
    parts = [f"p.{quoted(name)}::VARCHAR AS {quoted(name)}" for name in own]
    parts += [f"s.{name}::VARCHAR AS {name}" for name in FACTS if name not in own]
    parts += ["b.batch"] if "batch" not in own else []
    source.run(
        f"CREATE TABLE groups AS SELECT n, {', '.join(parts)} FROM numbered "  # noqa: S608
        "JOIN scans s USING (scan_id) LEFT JOIN participants p USING (scan_id) "
        "LEFT JOIN batches b USING (scan_id) WHERE s.processing_status = 'done'"
    )
    names = [name for name in source.columns("groups") if name != "n"]
    return sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def _has_groups(source: NumberedTables, name: str) -> bool:
    """Whether a column sorts scans into some groups; a batch column is cut into as many."""
    [[groups, scans]] = source.rows(
        f"SELECT count(DISTINCT {quoted(name)}), count({quoted(name)}) FROM groups"  # noqa: S608
    )
    if name == "batch" and groups > MOST_GROUPS:
        _join_batches(source)
        return True
    return 1 < groups <= MOST_GROUPS and (scans >= FEWEST_SCANS * groups or name == "batch")


def _join_batches(source: NumberedTables) -> None:
    """Neighbouring batches become one group, called after its first and last."""
    tiles = (
        f"SELECT batch, ntile({MOST_GROUPS}) OVER (ORDER BY batch) AS tile "  # noqa: S608
        "FROM (SELECT DISTINCT batch FROM groups WHERE batch IS NOT NULL)"
    )
    source.run(
        "UPDATE groups SET batch = named.name FROM (SELECT batch, "  # noqa: S608
        f"min(batch) OVER w || ' to ' || max(batch) OVER w AS name FROM ({tiles}) "
        "WINDOW w AS (PARTITION BY tile)) named WHERE groups.batch = named.batch"
    )


def _by_group(source: NumberedTables, number: int, name: str) -> list[dict[str, Any]]:
    column = quoted(name)
    found = source.rows(
        f"WITH v AS (SELECT {column} AS name, n, value FROM drift_{number} "  # noqa: S608
        f"JOIN groups USING (n) WHERE {column} IS NOT NULL), "
        "m AS (SELECT name, median(value) AS middle FROM v GROUP BY name) "
        f"SELECT name, count(*), quantile_cont(value, {QUANTILES}), {_points('v.value', 'middle')} "
        "FROM v JOIN m USING (name) GROUP BY name ORDER BY name"
    )
    return [_summary("name", row) for row in found]


def _meaning(code: str) -> str:
    return reason_table().get(code, {}).get("meaning", code.replace("_", " "))
