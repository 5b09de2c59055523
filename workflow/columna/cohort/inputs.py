"""The rows of the cohort index: every input, whether it is a scan or was left out."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from columna.cohort.candidates import FACTS, NAMES, OUTCOME
from columna.errors import CohortError
from columna.parquet import read_own
from columna.results.manifest import check_indexed

COLUMNS = (*NAMES, *OUTCOME, "batch", FACTS)


def read_inputs(index: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the inputs of the index folder `index`.

    Parameters
    ----------
    index
        The folder.
    columns
        What to read; default: everything, the user's own columns included.

    Raises
    ------
    CohortError
        If there is no index, or it is damaged.
    """
    check_indexed(index)
    remedy = "run `columna index`, which rewrites it"
    file = index / "scans.parquet"
    return read_own(file, columns or COLUMNS, remedy, CohortError, only=columns is not None)
