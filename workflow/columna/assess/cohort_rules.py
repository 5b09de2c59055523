"""Rules that compare a scan with the rest of the cohort.

They need the rows of all scans, so they are SQL over the collected tables (DuckDB), and run at
collect. The SQL is made of ids and names from the declared tables and rules only.
"""

import hashlib

import duckdb

from columna.assess.rules import Rule, cohort_rules
from columna.domains import BODIES, structure_domains
from columna.tables.catalogue import SHARDED
from columna.tables.quality import QUALITY

MIN_SCANS = 500
"""Values that a median over the cohort needs before anything is compared with it."""
MAD_TO_SD = 1.4826

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
        rule_id VARCHAR, item VARCHAR, level VARCHAR, level_order INTEGER, source VARCHAR,
        scans_n INTEGER, median DOUBLE, mad DOUBLE, reference_version VARCHAR);
    CREATE TABLE cohort_quality (
        participant_id VARCHAR, session_id VARCHAR, scan_id VARCHAR, rule_id VARCHAR, item VARCHAR,
        scope VARCHAR, domain VARCHAR, level VARCHAR, level_order INTEGER, structure VARCHAR,
        value DOUBLE, value_status VARCHAR, unit VARCHAR, low DOUBLE, high DOUBLE, verdict VARCHAR,
        comparator VARCHAR, rule_version VARCHAR)
"""

_REFERENCE = """
    INSERT INTO cohort_reference
    SELECT '{rule.rule_id}', norm, any_value(level), any_value(level_order), '{rule.source}',
           count(*), round(median(value), 6), round(mad(value), 6), ''
    FROM ({values}) GROUP BY norm HAVING count(*) >= {min_scans}
"""

_FINDINGS = """
    INSERT INTO cohort_quality
    SELECT participant_id, session_id, scan_id, '{rule.rule_id}', item, '{rule.scope}', {domain},
           level, level_order, structure, z, 'ok', '{rule.unit}', {low}, {high},
           CASE WHEN {fails} THEN 'fail' ELSE 'review' END, 'cohort_robust', '{rule.version}'
    FROM (
        SELECT v.*, round((v.value - r.median) / ({mad_to_sd} * r.mad), 4) AS z
        FROM ({values}) v JOIN cohort_reference r
        ON r.rule_id = '{rule.rule_id}' AND r.item = v.norm AND r.mad > 0
    )
    WHERE {fails} OR {reviews}
"""


def compare_with_cohort(database: duckdb.DuckDBPyConnection) -> None:
    """Fill the tables `cohort_reference` and `cohort_quality` of `database`.

    Parameters
    ----------
    database
        Holds the rows of all scans as `vertebrae`, `structures` and `quality`.
    """
    database.execute(_TABLES)
    for rule in cohort_rules():
        table, column = rule.source_column
        if table != QUALITY.name and column not in SHARDED[table].names:
            continue
        values = _VALUES[table].format(column=column)
        database.execute(_REFERENCE.format(rule=rule, values=values, min_scans=MIN_SCANS))
        database.execute(_findings_query(rule, values))
    version = _reference_version(database)
    database.execute("UPDATE cohort_reference SET reference_version = ?", [version])
    database.execute("UPDATE cohort_quality SET rule_version = rule_version || '+' || ?", [version])


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
    rows = database.execute("SELECT * FROM cohort_reference ORDER BY rule_id, item").fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
