"""Rules that compare a scan with the rest of the cohort.

They need the rows of all scans, so they are SQL over the collected tables (DuckDB), and run at
collect. The SQL is made of ids and names from the declared tables and rules only.
"""

import hashlib

import duckdb

from columna.assess.rules import Rule, cohort_rules, drift_rules
from columna.domains import BODIES, structure_domains
from columna.tables.catalogue import SHARDED
from columna.tables.quality import QUALITY
from columna.tables.vertebrae import VERTEBRAE

MIN_SCANS = 500
"""Values that a median over the cohort needs before anything is compared with it."""
MIN_STRATUM = 200
"""And a median over one sex and age group."""
MIN_GROUP = 20
"""Scans of a site, scanner or batch whose shift is looked at."""
SURE = 5
"""A shift fires where it is so many of its standard errors."""
MEDIAN_ERROR = 1.2533
"""Standard error of a median, times the square root of the number: sqrt(pi / 2)."""
MAD_TO_SD = 1.4826
GROUPS = "scan_groups"
"""Table of the database: scan_id, stratum, site, batch."""
WHOLE = "all"
"""The stratum of all scans together."""

_VALUES = {
    "vertebrae": """
        SELECT participant_id, session_id, scan_id, vertebra AS item, level AS norm, level,
               level_order, NULL AS structure, {column} AS value
        FROM vertebrae
        WHERE presence IN ('complete', 'lateral_cut') AND level IS NOT NULL
          AND {column} IS NOT NULL""",
    "structures": """
        SELECT participant_id, session_id, scan_id, structure AS item, structure AS norm,
               NULL AS level, NULL AS level_order, structure, {column} AS value
        FROM structures WHERE mask = 'semantic' AND {column} IS NOT NULL""",
    "quality": """
        SELECT participant_id, session_id, scan_id, item, item AS norm,
               NULL AS level, NULL AS level_order, NULL AS structure, value
        FROM quality WHERE rule_id = '{column}' AND value IS NOT NULL""",
}
"""Table of a rule's source -> its values, with the norm that each is compared with."""

_TABLES = """
    CREATE TABLE cohort_reference (
        rule_id VARCHAR, item VARCHAR, stratum VARCHAR, level VARCHAR, level_order INTEGER,
        source VARCHAR, scans_n INTEGER, median DOUBLE, mad DOUBLE, reference_version VARCHAR);
    CREATE TABLE cohort_quality (
        participant_id VARCHAR, session_id VARCHAR, scan_id VARCHAR, rule_id VARCHAR, item VARCHAR,
        scope VARCHAR, domain VARCHAR, level VARCHAR, level_order INTEGER, structure VARCHAR,
        value DOUBLE, value_status VARCHAR, unit VARCHAR, low DOUBLE, high DOUBLE, verdict VARCHAR,
        comparator VARCHAR, rule_version VARCHAR);
    CREATE TABLE cohort_z (rule_id VARCHAR, scan_id VARCHAR, z DOUBLE)
"""

_REFERENCE = """
    INSERT INTO cohort_reference
    SELECT '{rule.rule_id}', norm, {stratum}, any_value(level), any_value(level_order),
           '{rule.source}', count(*), round(median(value), 6), round(mad(value), 6), ''
    FROM ({values}) {join} GROUP BY norm, {stratum} HAVING count(*) >= {min_scans}
"""
_JOIN = f"JOIN {GROUPS} g USING (scan_id)"

_FINDINGS = """
    INSERT INTO cohort_quality
    SELECT participant_id, session_id, scan_id, '{rule.rule_id}', item, '{rule.scope}', {domain},
           level, level_order, structure, z, 'ok', '{rule.unit}', {low}, {high},
           CASE WHEN {fails} THEN 'fail' ELSE 'review' END, 'cohort_robust', '{rule.version}'
    FROM (
        SELECT v.*, round(
            CASE WHEN s.mad > 0 THEN (v.value - s.median) / ({mad_to_sd} * s.mad)
                 ELSE (v.value - r.median) / ({mad_to_sd} * r.mad) END, 4) AS z
        FROM ({values}) v
        JOIN cohort_reference r
        ON r.rule_id = '{rule.rule_id}' AND r.item = v.norm AND r.stratum = '{whole}' AND r.mad > 0
        LEFT JOIN {groups} g ON g.scan_id = v.scan_id
        LEFT JOIN cohort_reference s
        ON s.rule_id = r.rule_id AND s.item = r.item AND s.stratum = g.stratum
    )
    WHERE {fails} OR {reviews}
"""
"""With those of the same sex and age group where they are enough, else with everybody."""

_Z = """
    INSERT INTO cohort_z
    SELECT '{rule.rule_id}', scan_id, median((v.value - r.median) / ({mad_to_sd} * r.mad))
    FROM ({values}) v JOIN cohort_reference r
    ON r.rule_id = '{rule.rule_id}' AND r.item = v.norm AND r.stratum = '{whole}' AND r.mad > 0
    GROUP BY scan_id
"""

_GROUPED = {
    "site": f"SELECT scan_id, site AS grp FROM {GROUPS}",  # noqa: S608
    "batch": f"SELECT scan_id, batch AS grp FROM {GROUPS}",  # noqa: S608
    "scanner": """
        SELECT scan_id, nullif(trim(concat_ws(' ', manufacturer, model_name,
               CASE WHEN field_strength_t IS NOT NULL THEN field_strength_t || ' T' END)), '')
               AS grp
        FROM scans""",
}
"""Grouping -> the group of every scan."""

_DRIFT = """
    SELECT '{grouping}' AS group_kind, grp AS group_name, rule_id, scans_n, median_z, certainty,
           CASE WHEN (median_z < {low} OR median_z > {high}) AND abs(certainty) > {sure}
                THEN 'review' ELSE 'ok' END AS verdict
    FROM (
        SELECT grp, rule_id, count(*)::INTEGER AS scans_n, round(median(z), 4) AS median_z,
               round(median(z) * sqrt(count(*)) / {error}, 4) AS certainty
        FROM cohort_z JOIN ({groups}) USING (scan_id)
        WHERE grp IS NOT NULL GROUP BY grp, rule_id HAVING count(*) >= {min_group}
    )
    WHERE (SELECT count(DISTINCT grp) FROM ({groups}) WHERE grp IS NOT NULL) > 1
"""

_DRIFT_FINDINGS = """
    INSERT INTO cohort_quality
    SELECT participant_id, session_id, scan_id, '{rule.rule_id}', 'scan', '{rule.scope}',
           '{rule.domain}', NULL, NULL, NULL, shift, 'ok', '{rule.unit}', {low}, {high}, 'review',
           'cohort_drift', '{rule.version}'
    FROM scans JOIN ({groups}) USING (scan_id)
    JOIN (
        SELECT group_name AS grp, arg_max(median_z, abs(median_z)) AS shift FROM cohort_drift
        WHERE group_kind = '{grouping}' AND verdict = 'review' GROUP BY group_name
    ) USING (grp)
    WHERE processing_status = 'done'
"""


def compare_with_cohort(database: duckdb.DuckDBPyConnection) -> None:
    """Fill the tables `cohort_reference`, `cohort_drift` and `cohort_quality` of `database`.

    Parameters
    ----------
    database
        Holds the rows of all scans as `scans`, `vertebrae`, `structures` and `quality`, and what
        groups they belong to (`GROUPS`).
    """
    database.execute(_TABLES)
    for rule in cohort_rules():
        table, column = rule.source_column
        if table != QUALITY.name and column not in SHARDED[table].names:
            continue
        values = _VALUES[table].format(column=column)
        for query in _reference_queries(rule, table, values):
            database.execute(query)
        database.execute(_findings_query(rule, values))
        database.execute(_Z.format(rule=rule, values=values, mad_to_sd=MAD_TO_SD, whole=WHOLE))
    _compare_groups(database)
    version = _reference_version(database)
    database.execute("UPDATE cohort_reference SET reference_version = ?", [version])
    database.execute("UPDATE cohort_quality SET rule_version = rule_version || '+' || ?", [version])


def _reference_queries(rule: Rule, table: str, values: str) -> list[str]:
    """Medians over all scans; those of measures by sex and age group, too."""
    whole = _REFERENCE.format(
        rule=rule, values=values, stratum=f"'{WHOLE}'", join="", min_scans=MIN_SCANS
    )
    if table != VERTEBRAE.name:
        return [whole]
    by_group = _REFERENCE.format(
        rule=rule,
        values=f"SELECT v.*, g.stratum FROM ({values}) v {_JOIN} WHERE g.stratum IS NOT NULL",  # noqa: S608
        stratum="stratum",
        join="",
        min_scans=MIN_STRATUM,
    )
    return [whole, by_group]


def _compare_groups(database: duckdb.DuckDBPyConnection) -> None:
    """Compare sites, scanners and batches with the whole cohort."""
    made = []
    for rule in drift_rules():
        grouping = rule.rule_id.removeprefix("drift_")
        low, high = rule.limits
        made.append(
            _DRIFT.format(
                grouping=grouping,
                groups=_GROUPED[grouping],
                low=low,
                high=high,
                sure=SURE,
                error=MEDIAN_ERROR,
                min_group=MIN_GROUP,
            )
        )
    database.execute(f"CREATE TABLE cohort_drift AS {' UNION ALL '.join(made)}")
    for rule in drift_rules():
        grouping = rule.rule_id.removeprefix("drift_")
        low, high = rule.limits
        groups = _GROUPED[grouping]
        database.execute(
            _DRIFT_FINDINGS.format(rule=rule, grouping=grouping, groups=groups, low=low, high=high)
        )


def _findings_query(rule: Rule, values: str) -> str:
    low, high = ("NULL" if limit is None else repr(limit) for limit in rule.limits)
    return _FINDINGS.format(
        rule=rule,
        values=values,
        low=low,
        high=high,
        domain=_domain(rule),
        fails=_is_outside(rule.fail),
        reviews=_is_outside(rule.review),
        mad_to_sd=MAD_TO_SD,
        whole=WHOLE,
        groups=GROUPS,
    )


def _domain(rule: Rule) -> str:
    """Domain of a finding, as SQL: that of the rule, or of the structure."""
    if rule.domain:
        return f"'{rule.domain}'"
    cases = " ".join(f"WHEN '{name}' THEN '{of}'" for name, of in structure_domains().items())
    return f"CASE item {cases} ELSE '{BODIES}' END"


def _is_outside(limits: tuple[float | None, float | None]) -> str:
    low, high = limits
    parts = [f"z < {low!r}" if low is not None else "", f"z > {high!r}" if high is not None else ""]
    return f"({' OR '.join(part for part in parts if part) or 'false'})"


def _reference_version(database: duckdb.DuckDBPyConnection) -> str:
    """Digest of the medians: tables that were judged by the same reference have the same one."""
    rows = database.execute(
        "SELECT * FROM cohort_reference ORDER BY rule_id, item, stratum"
    ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
