"""What is known of inputs that the index leaves out: name and sidecars, never the image."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import pandas as pd

from columna.cohort.candidates import accepted
from columna.prepare.modality import acquisition_facts
from columna.prepare.sidecars import FileNames, json_names, read_sidecar

THREADS = 16


def left_out_facts(rows: pd.DataFrame) -> pd.Series:
    """Facts of the rows that are left out, as JSON by column name of the table ``scans``.

    Rows that are scans have none here (`prepare` finds them), and neither has a row without path.
    """
    paths = rows.loc[~accepted(rows), "path"].dropna()
    facts_of = partial(_facts, names_in=cache(json_names))
    with ThreadPoolExecutor(THREADS) as pool:  # network file systems answer slowly
        facts = list(pool.map(facts_of, paths))
    return pd.Series(facts, paths.index, dtype=object).reindex(rows.index)


def _facts(path: str, names_in: Callable[[str], FileNames]) -> str:
    file = Path(path)
    facts = acquisition_facts(file, read_sidecar(file, names_in))
    return json.dumps({name: value for name, value in facts.items() if value is not None})
