"""Configuration, folders and batches for the rules; what they mean is in the library."""

from columna.cohort.manifest import list_batches
from columna.config import Config, parse_config, stage_settings
from columna.errors import ColumnaError
from columna.layout import Layout
from columna.tables.catalogue import TABLES
from snakemake.exceptions import WorkflowError

try:
    CONFIG = parse_config(config, "workflow configuration")
except ColumnaError as error:
    raise WorkflowError(str(error)) from None

LAYOUT = Layout(CONFIG.results)
GPU = 0 if CONFIG.models.device == "cpu" else 1


wildcard_constraints:
    batch=r"b\d+",


def batches():
    """Names of all batches of the ledger."""
    if not (LAYOUT.index / "scans.parquet").exists():
        raise WorkflowError(f"{LAYOUT.index} holds no cohort index yet: run `columna index` first.")
    return list_batches(LAYOUT.index)


def log_file(stage):
    return str(LAYOUT.root / "logs" / stage / "{batch}.log")


def benchmark_file(stage):
    return str(LAYOUT.root / "benchmarks" / stage / "{batch}.tsv")
