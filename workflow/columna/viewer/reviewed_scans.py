"""The scans of a run as the review needs them: what the tables say, and where their files lie."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from columna.parquet import reading
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry, list_batches, read_manifest
from columna.tables.delivered import REMEDY, delivered_table

_QUERY = """
    SELECT scan_id, number, participant_id, processing_status, processing_code,
           processing_reason, qc_verdict, qc_reasons, input_sha256, least_p
    FROM (SELECT *, row_number() OVER (ORDER BY scan_id) - 1 AS number FROM read_parquet($1))
    LEFT JOIN (
        SELECT scan_id, min(level_p_ratio) AS least_p FROM read_parquet($2)
        WHERE presence <> 'fragment' GROUP BY scan_id
    ) USING (scan_id)
    ORDER BY number
"""


@dataclass(frozen=True)
class ReviewedScan:
    """One scan of the cohort.

    Parameters
    ----------
    scan_id
        Its name.
    number
        Its number in the report.
    participant_id
        As the cohort says, or None.
    status
        ``done`` for a measured scan.
    code, why_not
        Why a scan was not measured: a code, and a sentence; None for a measured one.
    verdict, reasons
        What the quality rules say: ``pass``, ``review``, ``fail`` or None; and which rules.
    input_sha256
        `columna.prepare.facts.input_sha256` of the image that was measured.
    least_p
        Probability of the least probable name among its vertebrae; None where no name has one.
    entry
        Where its files lie.
    """

    scan_id: str
    number: int
    participant_id: str | None
    status: str
    code: str | None
    why_not: str | None
    verdict: str | None
    reasons: str | None
    input_sha256: str | None
    least_p: float | None
    entry: ScanEntry


def read_scans(layout: Layout) -> dict[str, ReviewedScan]:
    """All scans that the cohort index and the tables hold, by name.

    Raises
    ------
    TableError, CohortError
        If tables or index are not there, or are damaged.
    """
    entries = {
        entry.scan_id: entry
        for batch in list_batches(layout.index)
        for entry in read_manifest(layout.manifest(batch))
    }
    files = [_file(layout, name) for name in ("scans", "vertebrae")]
    with reading(layout.tables, REMEDY, what="holds a damaged table"), duckdb.connect() as tables:
        rows = tables.execute(_QUERY, files).fetchall()
    known = ([*row, entries[row[0]]] for row in rows if row[0] in entries)
    return {values[0]: ReviewedScan(*values) for values in known}


def centroids_of(layout: Layout, scan_id: str) -> dict[int, list[float]]:
    """Centres of the bodies of a scan by their label in the mask of vertebrae, RAS+ mm."""
    query = (
        "SELECT spineps_label, centroid_r_mm, centroid_a_mm, centroid_s_mm FROM read_parquet($1) "
        "WHERE scan_id = $2 AND spineps_label IS NOT NULL AND centroid_s_mm IS NOT NULL"
    )
    with duckdb.connect() as tables:
        rows = tables.execute(query, [_file(layout, "vertebrae"), scan_id]).fetchall()
    return {label: list(place) for label, *place in rows}


def _file(layout: Layout, table: str) -> str:
    file: Path = delivered_table(layout.tables, table)[1]
    return str(file)
