"""Verdicts on scans and on levels, by domain, from the rows of all rules.

Rules of the cohort are among them, so verdicts are SQL over the collected tables (DuckDB), and made
at collect. The SQL is made of ids and names from the declared tables and rules only.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from columna.assess.rules import all_rules, needed_answers, scan_failures
from columna.cohort.candidates import OTHER_IMAGES
from columna.domains import BODIES, CANAL_CORD, DISCS, DOMAINS, NAMES, POSTERIOR
from columna.tables.common import SAGITTAL_CODES
from columna.tables.finish import NOT_MEASURED
from columna.tables.quality import QUALITY
from columna.tables.scans import HEADLINES
from columna.tables.vertebrae import MEASURED

_NAMES = ", ".join(QUALITY.names)
ALL_QUALITY = f"SELECT {_NAMES} FROM quality UNION ALL SELECT {_NAMES} FROM cohort_quality"  # noqa: S608
"""Rows of the delivered table `quality`."""


class _Part(NamedTuple):
    """What a domain judges in a row: where it was found, and where it was measured (SQL)."""

    found: str
    measured: str


_FOUND = "t.spineps_label IS NOT NULL"
_SAGITTAL = str(SAGITTAL_CODES)
_PARTS: Mapping[str, tuple[str, Mapping[str, _Part]]] = MappingProxyType(
    {
        "vertebrae": (
            "vertebra",
            {
                NAMES: _Part(_FOUND, "t.level IS NOT NULL"),
                BODIES: _Part(_FOUND, f"t.presence IN {MEASURED} AND t.body_status IN {_SAGITTAL}"),
                POSTERIOR: _Part(_FOUND, "t.arch_status = 'ok'"),
            },
        ),
        "discs": (
            "vertebra_upper",
            {
                DISCS: _Part(
                    "t.presence IN ('complete', 'lateral_cut', 'partial', 'duplicate')",
                    f"t.disc_status IN {_SAGITTAL}",
                )
            },
        ),
        "cord_canal": (
            "vertebra",
            {CANAL_CORD: _Part("t.index_from_top IS NOT NULL", f"t.canal_status IN {_SAGITTAL}")},
        ),
    }
)
"""Table -> column that names the vertebra whose rules judge a row, and what is judged in it."""

_UNANSWERED = f"""
    SELECT scan_id, rule_id
    FROM (SELECT scan_id FROM scans WHERE processing_status = 'done')
    CROSS JOIN (SELECT unnest({{needed}}) AS rule_id)
    ANTI JOIN (SELECT scan_id, rule_id FROM {QUALITY.name} WHERE value IS NOT NULL)
    USING (scan_id, rule_id)
"""  # noqa: S608
"""Rules that have no answer, or no row, though no scan passes without."""


def verdict_queries(in_verdict: Sequence[str]) -> dict[str, str]:
    """Table -> its delivered rows: those of the shards, and what `quality` says of them.

    Parameters
    ----------
    in_verdict
        The domains that make the verdict on a scan.
    """
    return {
        "scans": _scans_query(in_verdict),
        QUALITY.name: ALL_QUALITY,
        **{table: _parts_query(table) for table in _PARTS},
    }


def _scans_query(in_verdict: Sequence[str]) -> str:
    """Rows of the delivered table `scans`.

    A scan that is not done has no verdict, because nothing of it was judged. One that is done
    passes only where every rule that needs an answer has one.
    """
    others = ", ".join(f"'{code}'" for code in sorted(OTHER_IMAGES))
    headlines = ", ".join(
        f"max({of}) FILTER (rule_id = '{rule_id}') AS {rule_id}_{of}"
        for rule_id in HEADLINES
        for of in ("value", "value_status")
    )
    shown = ", ".join(
        f"{rule_id}_value AS {rule_id}_ratio, "
        f"coalesce({rule_id}_value_status, '{NOT_MEASURED}') AS {rule_id}_status"
        for rule_id in HEADLINES
    )
    others_judged = [domain for domain in DOMAINS if domain not in in_verdict]
    verdicts = {"all": in_verdict, **{domain: [domain] for domain in DOMAINS}}
    flags = ", ".join(_flags(name, domains) for name, domains in verdicts.items())
    columns = ", ".join(
        f"{_verdict(name)} AS {'qc_verdict' if name == 'all' else f'qc_{name}_verdict'}"
        for name in verdicts
    )
    return f"""
        SELECT s.*, {shown}, {columns},
               coalesce(input_status IN ({others}), false) AS is_other_image,
               CASE WHEN same[1] = scan_id THEN same[2] ELSE same[1] END AS same_image_as,
               CASE WHEN processing_status != 'done'
                    THEN coalesce(processing_code, processing_status)
                    ELSE coalesce(reasons, '') END AS qc_reasons,
               coalesce(other_reasons, '') AS qc_other_reasons
        FROM scans s LEFT JOIN (
            SELECT scan_id, {headlines}, {flags},
                   {_reasons(in_verdict)} AS reasons, {_reasons(others_judged)} AS other_reasons
            FROM ({_judged()}) GROUP BY scan_id
        ) q USING (scan_id)
        LEFT JOIN (
            SELECT input_sha256, list(scan_id ORDER BY scan_id) AS same
            FROM scans WHERE input_sha256 IS NOT NULL GROUP BY input_sha256 HAVING count(*) > 1
        ) i USING (input_sha256)
    """  # noqa: S608 - ids of rules and names of columns


def _judged() -> str:
    """What every rule says, and those that should have said something."""
    by_domain: dict[str, list[str]] = {}
    for rule_id in needed_answers():
        by_domain.setdefault(all_rules()[rule_id].domain, []).append(rule_id)
    cases = " ".join(f"WHEN rule_id IN {_list(ids)} THEN '{d}'" for d, ids in by_domain.items())
    return f"""
        SELECT scan_id, rule_id, domain, value, value_status, verdict FROM ({ALL_QUALITY})
        UNION ALL
        SELECT scan_id, rule_id, CASE {cases} END, NULL, NULL, 'review'
        FROM ({_UNANSWERED.format(needed=needed_answers())})
    """  # noqa: S608


def _flags(name: str, domains: Sequence[str]) -> str:
    """Whether a rule about the whole scan fails, and whether any asks for a look."""
    where = f"domain IN {_list(domains)}"
    return (
        f"bool_or(verdict = 'fail' AND rule_id IN {_list(scan_failures())}) FILTER ({where}) "
        f"AS {name}_failed, "
        f"bool_or(verdict IN ('review', 'fail')) FILTER ({where}) AS {name}_suspect"
    )


def _verdict(name: str) -> str:
    return (
        f"CASE WHEN processing_status != 'done' THEN NULL "
        f"WHEN coalesce({name}_failed, false) THEN 'fail' "
        f"WHEN coalesce({name}_suspect, false) THEN 'review' ELSE 'pass' END"
    )


def _reasons(domains: Sequence[str]) -> str:
    return (
        "string_agg(DISTINCT rule_id, ';' ORDER BY rule_id) "
        f"FILTER (verdict IN ('review', 'fail') AND domain IN {_list(domains)})"
    )


def _parts_query(table: str) -> str:
    """Rows of a delivered table with the verdicts of the domains that judge them.

    What was measured can be used unless a rule about the level, or about the whole scan, fails.
    """
    owner, parts = _PARTS[table]
    columns = ", ".join(
        f"CASE WHEN NOT coalesce({part.found}, false) THEN 'absent' "
        f"WHEN coalesce({domain}_failed, false) THEN 'fail' "
        f"WHEN coalesce({domain}_suspect, false) THEN 'review' ELSE 'ok' END "
        f"AS level_verdict_{domain}, "
        f"coalesce({part.found} AND {part.measured}, false) "
        f"AND NOT coalesce({domain}_failed, false) AND NOT coalesce({domain}_scan_failed, false) "
        f"AS is_evaluable_{domain}"
        for domain, part in parts.items()
    )
    level = ", ".join(
        f"bool_or(verdict = 'fail' AND domain = '{domain}') AS {domain}_failed, "
        f"bool_or(verdict IN ('review', 'fail') AND domain = '{domain}') AS {domain}_suspect"
        for domain in parts
    )
    scan = ", ".join(f"bool_or(domain = '{domain}') AS {domain}_scan_failed" for domain in parts)
    return f"""
        SELECT t.*, {columns} FROM {table} t
        LEFT JOIN (
            SELECT scan_id, item, {level} FROM ({ALL_QUALITY})
            WHERE scope = 'level' AND verdict IN ('review', 'fail') GROUP BY ALL
        ) q ON q.scan_id = t.scan_id AND q.item = t.{owner}
        LEFT JOIN (
            SELECT scan_id, {scan} FROM ({ALL_QUALITY})
            WHERE verdict = 'fail' AND rule_id IN {_list(scan_failures())} GROUP BY ALL
        ) f ON f.scan_id = t.scan_id
    """  # noqa: S608


def _list(names: Iterable[str]) -> str:
    """A list of SQL; an empty one holds nothing that occurs."""
    return "(" + (", ".join(f"'{name}'" for name in names) or "''") + ")"
