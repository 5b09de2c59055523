"""`columna check` and `columna forget`: look at contents, and have scans computed anew."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from columna.config import Config
from columna.errors import CohortError
from columna.files import has_identity
from columna.prepare.sidecars import sidecar_sha256
from columna.results.input_digest import digest_of
from columna.results.layout import Layout, stages_of
from columna.results.manifest import MASKS, ScanEntry, check_indexed, list_batches, read_manifest
from columna.results.store import Record, Store
from columna.review.corrections import Corrections
from columna.upkeep.receipts import COLLECT, Files, read_collected, read_receipt
from columna.upkeep.stale import look

THREADS = 4
MODELS = ("model-semantic", "model-instance")

CheckResult = tuple[str, str]
"""A scan, a batch or ``tables``, and what is wrong with it."""


def check_run(layout: Layout, config: Config | None, content: bool) -> Iterator[CheckResult]:
    """List outdated results of a run; the next `snakemake` recomputes them.

    Parameters
    ----------
    layout, config
        The run; without settings, those are not compared.
    content
        Also read every file that was read or written, and compare digests. A scan with a file
        that differs in content alone is forgotten (`forget`).

    Yields
    ------
    tuple of str
        Scan, batch or ``tables``, and what is wrong with it.

    Raises
    ------
    UnavailableError
        If a file of the cohort cannot be read now: its scan is not forgotten for that.
    """
    check_indexed(layout.index)
    if content:
        for name in MODELS:  # their digests are computed anew
            layout.receipt(name).unlink(missing_ok=True)
    state = look(layout, config)
    for batch, stale in state.stale.items():
        for reason, count in stale.reasons.items():
            yield batch, f"{count} scans: {reason}"
    if content:
        yield from _check_contents(layout, Corrections.of(config) if config else None)
    elif not state.are_tables_current and not state.pending and not state.stale:
        yield "tables", "are not those of this run"


def forget(layout: Layout, scan_ids: Iterable[str]) -> None:
    """Drop all that is kept of scans: the next `snakemake` computes all their stages again.

    Raises
    ------
    CohortError
        If the cohort has no such scan.
    """
    check_indexed(layout.index)
    batches = list_batches(layout.index)
    known = {s.scan_id for b in batches for s in read_manifest(layout.manifest(b))}
    scan_ids = list(scan_ids)
    if unknown := sorted(set(scan_ids) - known):
        raise CohortError(f"{unknown[0]}: the cohort index has no scan of this name")
    store = Store(layout)
    for scan_id in scan_ids:
        store.forget(scan_id)


def failed_scans(layout: Layout) -> list[str]:
    """The scans of which a stage failed, by what is stored."""
    store = Store(layout)
    return [
        scan_id
        for scan_id in sorted(store.scan_ids())
        if any(record.status == "failed" for record in store.read_all(scan_id).values())
    ]


def _check_contents(layout: Layout, corrections: Corrections | None) -> Iterator[CheckResult]:
    store = Store(layout)
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in list_batches(layout.index):
            scans = read_manifest(layout.manifest(batch))
            for scan, problem in zip(
                scans, pool.map(_Contents(store, corrections), scans), strict=True
            ):
                if problem:
                    store.forget(scan.scan_id)
                    yield scan.scan_id, problem
            receipt = read_receipt(layout, batch)
            own = [noted.own for noted in receipt.stages.values()] if receipt else []
            yield from _check_own(layout, batch, own)
    collected = read_collected(layout)
    yield from _check_own(layout, COLLECT, [collected.own] if collected else [])


class _Contents:
    """Compares all files of a scan with the digests that its records hold."""

    def __init__(self, store: Store, corrections: Corrections | None) -> None:
        self.store = store
        self.corrections = corrections

    def __call__(self, scan: ScanEntry) -> str | None:
        """What differs, if anything does; a scan that was not computed yet is not looked at."""
        kept = self.store.read_all(scan.scan_id)
        records = {stage: kept.get(stage) for stage in stages_of(scan)}
        if not any(records.values()):
            return None
        problem = self._results(records) or self._sources(scan, records)
        stopped = False
        for stage, record in records.items():
            if record is None and not stopped:
                problem = problem or f"nothing is stored of stage '{stage}'"
            stopped = stopped or record is None or record.status != "done"
        return problem

    def _results(self, records: dict[str, Record | None]) -> str | None:
        for record in records.values():
            if record is not None and not self.store.is_whole(record, content=True):
                return f"a result of stage '{record.stage}' is missing or was changed"
        return None

    def _sources(self, scan: ScanEntry, records: dict[str, Record | None]) -> str | None:
        prepare, label = records["prepare"], records["label"]
        noted = dict(prepare.dependencies) if prepare else {}
        noted |= label.dependencies.get("masks", {}) if label else {}
        for name, path in {"input": scan.path, **{m: getattr(scan, m) for m in MASKS}}.items():
            if name in noted and noted[name] != digest_of(path):
                return f"its {name} is not the one that it was computed from"
        if "sidecars" in noted and noted["sidecars"] != sidecar_sha256(scan.path):
            return "its sidecars are not those that it was computed from"
        return self._corrected(scan, label) if self.corrections and label else None

    def _corrected(self, scan: ScanEntry, label: Record) -> str | None:
        noted = label.dependencies.get("corrections", {}).get("masks", {})
        masks = self.corrections.masks(scan.scan_id) if self.corrections else {}
        for mask, digests in noted.items():
            if digests != [digest_of(path) for path in masks.get(mask, ())]:
                return f"its corrected {mask} mask is not the one that it was computed from"
        return None


def _check_own(layout: Layout, name: str, own: Iterable[Files]) -> Iterator[CheckResult]:
    """Compare tables and shards with a receipt, and drop it if they differ."""
    for path, known in ((path, known) for files in own for path, known in files.items()):
        if not has_identity(layout.root / path, known, content=True):
            layout.receipt(name).unlink(missing_ok=True)
            yield name, f"{path} is missing or was changed"
