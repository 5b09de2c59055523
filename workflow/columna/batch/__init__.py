"""Run one stage over one batch of scans in one process."""

from columna.batch.run import run_batch

__all__ = ["run_batch"]
