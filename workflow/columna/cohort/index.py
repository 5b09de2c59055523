"""The cohort index: all rows in one Parquet file, the ledger, and a manifest per batch.

The same cohort gives the same files, byte by byte, and files that stay the same are not touched.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from columna.cohort.bids import read_bids
from columna.cohort.candidates import DICTIONARY, FACTS, NAMES, OK, OTHER_IMAGES, OUTCOME, accepted
from columna.cohort.ledger import extend_ledger, locked, read_ledger
from columna.cohort.left_out_facts import left_out_facts
from columna.cohort.people import add_people
from columna.cohort.row_checks import count_references
from columna.cohort.select import selected
from columna.cohort.sheet import read_sheet
from columna.config import Selection
from columna.errors import CohortError
from columna.files import json_bytes, sha256_file, write_if_changed
from columna.prepare.sidecars import read_json_object
from columna.results.manifest import WITH_REFERENCES, ScanEntry, write_manifests


@dataclass(frozen=True)
class IndexSummary:
    """What an index holds.

    Parameters
    ----------
    cohort
        Sheet or folder, as an absolute path.
    sheet_sha256
        Digest of the sheet; None for a BIDS folder.
    batch_size
        Scans that a batch takes up.
    rows_n, scans_n, batches_n
        Rows found, those of them that are scans, and batches in the ledger.
    input_status_n
        Rows by ``input_status``.
    references_n, references_missing_n
        Reference masks that the scans name, and those of them that are not there.
    """

    cohort: str
    sheet_sha256: str | None
    batch_size: int
    rows_n: int
    scans_n: int
    batches_n: int
    input_status_n: dict[str, int]
    references_n: int = 0
    references_missing_n: int = 0

    def __str__(self) -> str:
        """Tell the figures to a person."""
        left_out = {code: n for code, n in self.input_status_n.items() if code != OK}
        lines = [f"{self.scans_n} scans in {self.batches_n} batches, from {self.rows_n} rows"]
        for title, is_other in (("left out", False), ("no sagittal T2w scan", True)):
            codes = [code for code in left_out if (code in OTHER_IMAGES) == is_other]
            lines += [f"{left_out[code]:>8} {title}: {code}" for code in codes]
        if self.references_n:
            missing = self.references_missing_n
            lines.append(
                f"{self.references_n:>8} reference masks"
                + (f", {missing} of which are not there" if missing else "")
            )
        return "\n".join(lines)


def build_index(
    cohort: Path, out: Path, batch_size: int, select: Sequence[Selection] = ()
) -> IndexSummary:
    """Index a cohort into the folder `out`; scans that have a batch keep it.

    Writes ``scans.parquet`` (every row, with ``input_status``, ``reason`` and ``batch``),
    ``ledger.tsv``, ``batches/<batch>.tsv`` and ``index.json``.

    Parameters
    ----------
    cohort
        A cohort sheet (`columna.cohort.sheet`) or a BIDS folder (`columna.cohort.bids`). The paths
        of its scans are kept absolute.
    out
        The index folder.
    batch_size
        Scans per batch.
    select
        Which rows belong to the cohort (`columna.cohort.select`); all where it is empty.

    Raises
    ------
    CohortError
        If the cohort or the ledger cannot be used, or a selection finds nothing.
    """
    if batch_size < 1:
        raise CohortError(f"batch_size is {batch_size}; a batch holds at least one scan")
    cohort, out = Path(cohort), Path(out)
    place = cohort.absolute()  # so that runs from other folders find the same files
    if not place.exists():
        raise CohortError(f"{cohort}: no such cohort sheet or BIDS folder")
    with locked(out):
        is_folder = place.is_dir()
        known = read_ledger(out / "ledger.tsv")
        if is_folder:
            rows = read_bids(place, (out, out.parent), known)
            dictionary = add_people(rows, place)
        else:
            rows = read_sheet(place, known)
            dictionary = read_json_object(place.with_suffix(".json"))
        rows = selected(rows, select, place)
        rows.insert(len(NAMES) + len(OUTCOME), FACTS, left_out_facts(rows))
        scans = rows[accepted(rows)]
        ledger = extend_ledger(out / "ledger.tsv", scans["scan_id"], batch_size)
        rows.insert(len(NAMES) + len(OUTCOME), "batch", scans["scan_id"].map(ledger))
        write_if_changed(out / "scans.parquet", _parquet(rows, dictionary))
        write_manifests(out, _entries(scans, ledger))
        references_n, references_missing_n = count_references(rows)
        summary = IndexSummary(
            cohort=str(place),
            sheet_sha256=None if is_folder else sha256_file(place),
            batch_size=batch_size,
            rows_n=len(rows),
            scans_n=len(scans),
            batches_n=len(set(ledger.values())),
            input_status_n=dict(sorted(Counter(rows["input_status"]).items())),
            references_n=references_n,
            references_missing_n=references_missing_n,
        )
        write_if_changed(out / "index.json", json_bytes(asdict(summary)))
    return summary


def _entries(scans: pd.DataFrame, ledger: dict[str, str]) -> list[tuple[str, ScanEntry]]:
    rows = scans.reindex(columns=list(WITH_REFERENCES)).astype(object)
    rows = rows.where(rows.notna(), None)  # type: ignore[call-overload]  # None fits objects
    entries = (ScanEntry.of(row) for row in rows.to_dict("records"))
    return [(ledger[entry.scan_id], entry) for entry in entries]


def _parquet(rows: pd.DataFrame, dictionary: dict[str, Any]) -> bytes:
    """Make a Parquet file of the rows; every column is text, NULL where there is no value.

    What JSON files say of the user's columns goes into the metadata.
    """
    columns = [pa.array(rows[name], pa.string(), from_pandas=True) for name in rows.columns]
    table = pa.table(columns, names=list(rows.columns))
    described = {name: entry for name, entry in dictionary.items() if name in rows}
    stream = BytesIO()
    pq.write_table(table.replace_schema_metadata({DICTIONARY: json.dumps(described)}), stream)
    return stream.getvalue()
