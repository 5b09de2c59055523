"""Which results of a run are no longer true: receipts compared with what lies on the disk.

`snakemake` asks this whenever it plans, `columna status` and `columna check` whenever they are
called, so they cannot disagree. Nothing is read but receipts and manifests; of all other files,
sizes and times are looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial

from columna.chain import CORRECTED, EVALUATE, EVALUATED, STAGES
from columna.config import Config, config_sha256
from columna.files import has_identity
from columna.prepare.sidecars import FileNames, json_names
from columna.results.layout import Layout
from columna.results.manifest import list_batches, list_evaluated, read_manifest
from columna.results.scan_files import reference_state, scan_state
from columna.review.corrections import Corrections, decisions_of, decisions_state
from columna.stages.by_name import make_stage
from columna.upkeep.receipts import Files, Receipt, has_collected, outcome_of, read_receipt

THREADS = 16
FOLDERS = 10_000
"""Folders whose sidecars are remembered while a run is looked at."""

SOURCE = "a scan, its sidecar, its masks or its row in the cohort changed"
CORRECTION = "what people have put right changed"
RESULT = "a result was changed, deleted or damaged"
BASIS = "settings, a model or the version of columna changed"
OPEN = "a job did not end, or left no receipt"


@dataclass
class Stale:
    """What is no longer true of a batch.

    Parameters
    ----------
    stage
        The first stage whose job has to run again; None if all is well.
    scans
        Scan -> the first stage whose result may not be true.
    reasons
        Reason -> number of scans.
    """

    stage: str | None = None
    scans: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, scan_ids: Iterable[str], stage: str, reason: str) -> None:
        """Note that results from `stage` on may not be true."""
        if self.stage is None or STAGES.index(stage) < STAGES.index(self.stage):
            self.stage = stage
        for scan_id in scan_ids:
            if scan_id not in self.scans:
                self.scans[scan_id] = stage
                self.reasons[reason] += 1


@dataclass(frozen=True)
class RunState:
    """How a run stands.

    Parameters
    ----------
    stale
        Batch -> what is no longer true of it.
    pending
        Batch -> the first stage that has not ended; stale batches are not among them.
    are_tables_current
        Whether the delivered tables hold what the batches have.
    evaluations
        Batches with references whose evaluation has to run, or to run again.
    """

    stale: dict[str, Stale]
    pending: dict[str, str]
    are_tables_current: bool
    evaluations: tuple[str, ...] = ()

    def reasons(self) -> Counter[str]:
        """Reason -> number of scans, over all batches."""
        return sum((found.reasons for found in self.stale.values()), Counter())


def look(layout: Layout, config: Config | None) -> RunState:
    """Compare the receipts of a run with the disk.

    Parameters
    ----------
    layout
        The results folder.
    config
        The settings that results shall have been made with; without them, neither settings nor
        models nor versions are compared.

    Raises
    ------
    CohortError
        If a manifest is missing or damaged.
    """
    batches = list_batches(layout.index)
    has_receipts = layout.receipt("collect").parent.is_dir()
    bases = {}
    decisions = None if config is None else decisions_of(config)
    corrections = None if config is None else Corrections.of(config, decisions)
    if config is not None and has_receipts:
        bases = {s: make_stage(s, config, layout).basis for s in STAGES}
    names_in = lru_cache(maxsize=FOLDERS)(json_names)
    with ThreadPoolExecutor(THREADS) as pool:  # network file systems are slow to answer
        looked = list(pool.map(partial(_look_at, layout, bases, corrections, names_in), batches))
    stale, pending = {}, {}
    for batch, (found, waiting, _) in zip(batches, looked, strict=True):
        if found.stage is not None:
            stale[batch] = found
        elif waiting is not None:
            pending[batch] = waiting
    outcome = outcome_of([receipt for _, _, receipt in looked])
    settings = None if config is None else config_sha256(config)
    decided = None if decisions is None else decisions_state(decisions)
    collected = not stale and not pending and has_collected(layout, settings, outcome, decided)
    receipts = {batch: looked_at[2] for batch, looked_at in zip(batches, looked, strict=True)}
    return RunState(stale, pending, collected, tuple(_not_evaluated(layout, config, receipts)))


def _not_evaluated(
    layout: Layout, config: Config | None, receipts: Mapping[str, Receipt | None]
) -> Iterator[str]:
    """Batches with references whose masks, references or conventions are not the evaluated ones."""
    batches = list_evaluated(layout.index)
    if not batches:
        return
    basis = None
    if config is not None:
        from columna.evaluate.evaluate_stage import EvaluateStage  # SimpleITK takes long to import

        basis = EvaluateStage(config, layout).basis
    for batch in batches:
        receipt = receipts.get(batch)
        noted = receipt.stages.get(EVALUATE) if receipt else None
        if receipt is None or noted is None or basis not in (None, noted.basis):
            yield batch
            continue
        before = receipt.stages.get(EVALUATED)
        scans = {s.scan_id: s for s in read_manifest(layout.manifest(batch)) if s.has_references}
        states = {scan_id: reference_state(scan) for scan_id, scan in scans.items()}
        is_same = set(states) == set(receipt.references) and all(
            state is None or state == receipt.references[scan_id]
            for scan_id, state in states.items()
        )
        masks_are_same = before is not None and noted.upstream == before.table
        if not (is_same and masks_are_same and _are_there(layout, noted.own)):
            yield batch


def _look_at(
    layout: Layout,
    bases: Mapping[str, str],
    corrections: Corrections | None,
    names_in: Callable[[str], FileNames],
    batch: str,
) -> tuple[Stale, str | None, Receipt | None]:
    """What is stale in a batch, the first stage that has not ended, and the receipt."""
    found = Stale()
    receipt = read_receipt(layout, batch)
    if receipt is None:
        if any(layout.stage_table(stage, batch).exists() for stage in STAGES):
            scans = [scan.scan_id for scan in read_manifest(layout.manifest(batch))]
            found.add(scans, STAGES[0], OPEN)
        return found, STAGES[0], None
    _compare_sources(found, layout, batch, receipt, names_in)
    if corrections is not None and CORRECTED in receipt.stages:
        for scan_id in receipt.scans:
            if corrections.state(scan_id) != receipt.corrections.get(scan_id):
                found.add([scan_id], CORRECTED, CORRECTION)
    for scan_id, files in receipt.kept.items():
        if not files or not _are_there(layout, files):
            found.add([scan_id], STAGES[0], RESULT)
    return found, _compare_stages(found, layout, batch, receipt, bases), receipt


def _compare_sources(
    found: Stale,
    layout: Layout,
    batch: str,
    receipt: Receipt,
    names_in: Callable[[str], FileNames],
) -> None:
    gone = set(receipt.scans)
    for scan in read_manifest(layout.manifest(batch)):
        gone.discard(scan.scan_id)
        state = scan_state(scan, names_in)
        # whether a file that is not there now is gone for good is for the index to say
        is_same = state is None or state == receipt.scans.get(scan.scan_id)
        if scan.scan_id not in receipt.scans or not is_same:
            found.add([scan.scan_id], STAGES[0], SOURCE)
    if gone:
        found.add(gone, STAGES[0], SOURCE)


def _compare_stages(
    found: Stale, layout: Layout, batch: str, receipt: Receipt, bases: Mapping[str, str]
) -> str | None:
    """Go through the stages up to one that is stale as a whole; the first that has not ended."""
    before = None
    for stage in STAGES:
        noted = receipt.stages.get(stage)
        reason = None
        if noted is None:
            if not layout.stage_table(stage, batch).exists():
                return stage
            reason = OPEN
        elif bases and noted.basis != bases[stage]:
            reason = BASIS
        elif noted.upstream != before:
            reason = OPEN
        elif not _are_there(layout, noted.own):
            reason = RESULT
        if reason is not None or noted is None:
            found.add(receipt.scans, stage, reason or OPEN)
            return None
        for scan_id, files in noted.files.items():
            if not _are_there(layout, files):
                found.add([scan_id], stage, RESULT)
        before = noted.table
    return None


def _are_there(layout: Layout, files: Files) -> bool:
    return all(has_identity(f"{layout.root}/{name}", known) for name, known in files.items())
