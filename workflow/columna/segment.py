"""One scan through all stages, in this process, without Snakemake."""

import csv
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from columna.batch.job import run_job
from columna.chain import MEASURED_STAGES
from columna.cohort.index import build_index
from columna.cohort.inputs import read_inputs
from columna.cohort.ledger import locked
from columna.collect.collect import collect_tables
from columna.config import Config, config_sha256
from columna.files import atomic_path
from columna.results.claim import check_folder
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout
from columna.results.manifest import list_batches
from columna.results.names import scan_id_of
from columna.results.store import Record
from columna.stages.by_name import make_stage

WORK = "work"
"""Folder of intermediate results below the output folder; safe to delete."""


def segment_scan(
    scan: Path,
    out: Path,
    config: Config,
    threads: int,
    levels: Mapping[str, str | None] | None = None,
) -> Record:
    """Segment and measure one scan.

    Parameters
    ----------
    scan
        NIfTI file.
    out
        Gets the masks, their sidecar, points and picture of the scan, and ``tables/``. Intermediate
        results stay in ``work/``, so that a second run repeats only what has changed.
    config
        Settings; its cohort and results are not used.
    threads
        Cores to use.
    levels
        Levels that are known, by column of a cohort sheet (`columna.results.given_levels`).

    Returns
    -------
    Record
        How the scan ended: ``done``, or ``refused`` or ``failed`` with the reason.

    Raises
    ------
    ColumnaError
        If `out` holds the result of another scan.
    """
    layout = Layout(out / WORK)
    scan_id = scan_id_of(scan)
    sheet = layout.root / "scan.tsv"
    with locked(layout.root):
        check_folder(scan, scan_id, sheet, out)
        _write_sheet(scan, scan_id, sheet, levels or {})
    ended = _index(scan_id, sheet, layout) or _run(config, layout, threads)
    collect_tables(layout, config_sha256(config))
    _deliver(layout, scan_id, out, ended.status == "done")
    return ended


def _write_sheet(scan: Path, scan_id: str, sheet: Path, levels: Mapping[str, str | None]) -> None:
    known = {column: level for column, level in levels.items() if level}
    with (
        atomic_path(sheet) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["participant_id", "scan_id", "path", *known])
        writer.writerow([scan_id, scan_id, scan.resolve(), *known.values()])


def _index(scan_id: str, sheet: Path, layout: Layout) -> Record | None:
    """Index a cohort of one scan; a record only where the index leaves the scan out."""
    build_index(sheet, layout.index, batch_size=1)
    [row] = read_inputs(layout.index).to_pylist()
    if row["input_status"] == "ok":
        return None
    return Record("index", scan_id, "", "refused", row["input_status"], row["reason"])


def _run(config: Config, layout: Layout, threads: int) -> Record:
    [batch] = list_batches(layout.index)
    for name in MEASURED_STAGES:
        [ended] = run_job(make_stage(name, config, layout), batch, threads)
    run_job(make_stage("picture", config, layout), batch, threads)
    return ended


def _deliver(layout: Layout, scan_id: str, out: Path, is_done: bool) -> None:
    """Put the deliverables side by side into `out`; masks only of a scan that is done."""
    names = Derivatives(layout.derivatives, scan_id)
    for former in names.former_files:
        (out / former.name).unlink(missing_ok=True)
    masks = names.files if is_done else []
    beside = [layout.picture(scan_id), *sorted(layout.derivatives.glob("seg-*_dseg.tsv"))]
    for file in [*names.files, *beside]:
        target = out / file.name
        target.unlink(missing_ok=True)
        if file in masks or (file in beside and file.exists()):
            os.link(file, target)
    shutil.copytree(layout.tables, out / "tables", dirs_exist_ok=True)
