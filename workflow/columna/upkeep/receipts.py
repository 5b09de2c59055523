"""Receipts: what a job read and what it left behind, noted at its end.

Snakemake compares the times of the files that rules name. Scans, sidecars, given masks, weights,
derivatives, the store and the shards are not among them: they are too many. Each job therefore
leaves a receipt per batch, and planning compares receipts with what lies on the disk
(`columna.upkeep.stale`): sizes and times only, so that 100,000 scans take seconds. Where something
differs, the job runs again, and contents decide what it computes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from columna import __version__
from columna.chain import CORRECTED, EVALUATE, EVALUATED, MEASURED_STAGES, STAGES
from columna.errors import TableError
from columna.files import has_identity, identity, open_regular, sha256_json, write_json, write_text
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Stage
from columna.tables.schema import SCHEMA_VERSION

COLLECT = "collect"

AnyReceipt = TypeVar("AnyReceipt")

Known = tuple[int, int] | tuple[int, int, str]
Files = dict[str, Known]
"""`columna.files.identity` by path relative to the results folder; digests may be left out."""


@dataclass
class StageReceipt:
    """One stage of one batch.

    Parameters
    ----------
    basis
        `Stage.basis` of the job.
    upstream
        Digest of the table of the stage before, as the job found it.
    table
        Digest of its own table.
    own
        Its table, and the shards that it wrote.
    files
        Scan -> files of its result.
    """

    basis: str
    upstream: str | None
    table: str
    own: Files
    files: dict[str, Files]


@dataclass
class Receipt:
    """One batch.

    Parameters
    ----------
    scans
        Scan -> `columna.results.scan_files.scan_state` before its files were read.
    kept
        Scan -> files of the store.
    stages
        Stage -> its receipt.
    references
        Scan -> `columna.results.scan_files.reference_state` before its references were read.
    corrections
        Scan -> `columna.review.corrections.Corrections.state` before they were read; scans of
        which nothing was put right are left out.
    """

    scans: dict[str, str | None] = field(default_factory=dict)
    kept: dict[str, Files] = field(default_factory=dict)
    stages: dict[str, StageReceipt] = field(default_factory=dict)
    references: dict[str, str | None] = field(default_factory=dict)
    corrections: dict[str, str] = field(default_factory=dict)


@dataclass
class CollectReceipt:
    """The delivered tables.

    Parameters
    ----------
    basis, outcome
        Digests of settings and versions, and of what the batches had.
    index
        `index_stamp` before the index was read.
    own
        What was written.
    decisions
        `columna.review.corrections.decisions_state` before they were read.
    """

    basis: str
    outcome: str
    index: list[int]
    own: Files
    decisions: str = ""


_RECEIPT = TypeAdapter(Receipt)
_COLLECTED = TypeAdapter(CollectReceipt)


def read_receipt(layout: Layout, batch: str) -> Receipt | None:
    """The receipt of a batch, or None where there is none that can be used."""
    return _read(_RECEIPT, layout.receipt(batch))


def read_collected(layout: Layout) -> CollectReceipt | None:
    """The receipt of `collect`, or None where there is none that can be used."""
    return _read(_COLLECTED, layout.receipt(COLLECT))


def _read(kind: TypeAdapter[AnyReceipt], path: Path) -> AnyReceipt | None:
    try:
        with open_regular(path) as stream:
            return kind.validate_json(stream.read())
    except (OSError, ValueError):
        return None


def note_stage(
    stage: Stage,
    batch: str,
    scans: Sequence[ScanEntry],
    records: Sequence[Record],
    states: dict[str, str | None],
) -> None:
    """Add a stage that has just ended to the receipt of its batch.

    Parameters
    ----------
    stage, batch, scans, records
        The job and its outcome.
    states
        `Stage.state` of the scans before the job read anything.
    """
    layout = stage.layout
    receipt = read_receipt(layout, batch) or Receipt()
    if stage.name == STAGES[0]:
        receipt.scans = states
    if stage.name == CORRECTED:
        receipt.corrections = {scan: state for scan, state in states.items() if state}
    if stage.name == EVALUATE:
        receipt.references = {s.scan_id: states[s.scan_id] for s in scans if s.has_references}
    before = receipt.stages.get(_stage_before(stage.name))
    table = layout.stage_table(stage.name, batch)
    own = _identities(layout, [table, *stage.delivers(batch)])
    *_, digest = own[layout.relative(table)]
    receipt.stages[stage.name] = StageReceipt(
        basis=stage.basis,
        upstream=before.table if before and stage.name != STAGES[0] else None,
        table=str(digest),
        own=own,
        files={
            record.scan_id: {name: (known[0], known[1]) for name, known in record.files.items()}
            for record in records
            if record.stage == stage.name and record.files
        },
    )
    receipt.kept = {
        scan.scan_id: {
            layout.relative(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in stage.store.kept(scan.scan_id)
        }
        for scan in scans
    }
    # compact: planning reads the receipts of all batches
    write_text(layout.receipt(batch), json.dumps(asdict(receipt), separators=(",", ":")))


def _stage_before(stage: str) -> str:
    return EVALUATED if stage == EVALUATE else STAGES[STAGES.index(stage) - 1]


def check_uniform(receipts: Mapping[str, Receipt | None]) -> None:
    """Raise TableError if batches were made with different settings, models or versions."""
    for stage in STAGES:
        made: dict[str, str] = {}
        for batch, receipt in receipts.items():
            if receipt is not None and stage in receipt.stages:
                made.setdefault(receipt.stages[stage].basis, batch)
        if len(made) > 1:
            raise TableError(
                f"batches {' and '.join(made.values())} were made with different settings, models "
                f"or versions of stage '{stage}': start `snakemake` again, which repeats the old "
                "ones"
            )


def check_delivered(layout: Layout, receipts: Iterable[Receipt | None]) -> None:
    """Raise TableError if a stage table or shard is not as its job left it."""
    for receipt in receipts:
        for stage, noted in receipt.stages.items() if receipt else ():
            for name, known in noted.own.items() if stage != EVALUATE else ():
                if not has_identity(layout.root / name, known):
                    raise TableError(
                        f"{layout.root / name}: missing, or changed since its job ended: start "
                        "`snakemake` again, which rewrites it"
                    )


def outcome_of(receipts: Iterable[Receipt | None]) -> str:
    """Digest of how all batches came out of the last stage that tables are made of, in order."""
    last = MEASURED_STAGES[-1]
    return sha256_json([r.stages[last].table if r and last in r.stages else None for r in receipts])


def note_collect(
    layout: Layout,
    config_sha256: str,
    outcome: str,
    index: list[int],
    tables: Sequence[Path],
    decisions: str = "",
) -> None:
    """Leave the receipt of `collect`.

    Parameters
    ----------
    layout, config_sha256
        Results folder and settings.
    outcome
        `outcome_of` the batches.
    index
        `index_stamp` before the index was read.
    tables
        What was written.
    decisions
        As in `CollectReceipt`.
    """
    noted = CollectReceipt(
        _collect_basis(config_sha256), outcome, index, _identities(layout, tables), decisions
    )
    write_json(layout.receipt(COLLECT), asdict(noted))


def index_stamp(layout: Layout) -> list[int]:
    """Size and time of the cohort index."""
    status = (layout.index / "scans.parquet").stat()
    return [status.st_size, status.st_mtime_ns]


def has_collected(
    layout: Layout, config_sha256: str | None, outcome: str, decisions: str | None = None
) -> bool:
    """Whether the delivered tables are those of these settings and this `outcome_of` batches.

    Without `config_sha256` the settings, and without `decisions` those are not compared.
    """
    noted = read_collected(layout)
    if noted is None:
        return False
    try:
        return (
            (config_sha256 is None or noted.basis == _collect_basis(config_sha256))
            and noted.outcome == outcome
            and decisions in (None, noted.decisions)
            and noted.index == index_stamp(layout)
            and all(has_identity(layout.root / name, noted.own[name]) for name in noted.own)
        )
    except OSError:
        return False


def _collect_basis(config_sha256: str) -> str:
    return sha256_json([SCHEMA_VERSION, __version__, config_sha256])


def _identities(layout: Layout, paths: Sequence[Path]) -> Files:
    return {layout.relative(path): tuple(identity(path)) for path in paths}
