"""Scans of a run whose masks somebody has edited, as a dataset (docs/corrections.md)."""

from pathlib import Path
from typing import NamedTuple

import duckdb

from columna.errors import CohortError
from columna.parquet import reading
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout
from columna.results.manifest import check_indexed, list_batches, read_manifest
from columna.tables.delivered import REMEDY, delivered_table

_CORRECTED = """
SELECT scan_id FROM read_parquet($scans)
WHERE mask_source = 'corrected' AND processing_status = 'done' AND scan_id NOT IN (
    SELECT scan_id FROM read_parquet($ratings) WHERE decision = 'exclude' AND state = 'in_force'
) ORDER BY scan_id
"""


class CorrectedScan(NamedTuple):
    """A scan and its delivered masks."""

    participant_id: str
    scan_id: str
    path: Path
    semantic: Path
    instance: Path


def corrected_scans(results: Path) -> list[CorrectedScan]:
    """Scans with corrected masks in the results folder of a run, without excluded ones.

    Raises
    ------
    CohortError
        If it is no results folder, or has no such scan.
    TableError
        If its tables are not there, or damaged.
    """
    layout = Layout(results)
    check_indexed(layout.index)
    files = {n: str(delivered_table(layout.tables, n)[1]) for n in ("scans", "ratings")}
    with reading(layout.tables, REMEDY):
        wanted = {scan_id for (scan_id,) in duckdb.execute(_CORRECTED, files).fetchall()}
    if not wanted:
        raise CohortError(f"{results}: no scan of this run has corrected masks")
    entries = [e for b in list_batches(layout.index) for e in read_manifest(layout.manifest(b))]
    found = []
    for entry in sorted(entries, key=lambda e: e.scan_id):
        if entry.scan_id in wanted:
            names = Derivatives(layout.derivatives, entry.scan_id)
            masks = (names.semantic, names.instance)
            found.append(CorrectedScan(entry.participant_id, entry.scan_id, entry.path, *masks))
    return found
