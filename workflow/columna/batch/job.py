"""One job of the workflow: a stage over a batch, its table and its receipt."""

from columna.batch.run import run_batch
from columna.results.manifest import read_manifest
from columna.results.stage_table import write_stage_table
from columna.results.store import Record
from columna.stages.base import Stage
from columna.upkeep.receipts import note_stage


def run_job(stage: Stage, batch: str, threads: int) -> list[Record]:
    """Bring a batch through `stage`; write the stage's table, then the receipt.

    Parameters
    ----------
    stage
        What to do.
    batch
        Name of the batch; its manifest says which scans it has.
    threads
        Cores to use.

    Returns
    -------
    list of Record
        One per scan, in the order of the manifest.
    """
    scans = read_manifest(stage.layout.manifest(batch))
    # before anything is read: what changes afterwards differs from the receipt
    states = {scan.scan_id: stage.state(scan) for scan in scans}
    records = run_batch(stage, batch, scans, threads)
    write_stage_table(stage.layout.stage_table(stage.name, batch), records)
    note_stage(stage, batch, scans, records, states)
    return records
