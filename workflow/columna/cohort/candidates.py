"""The rows of a cohort while they are checked: one per file found, none is ever dropped.

A frame of rows has the columns `NAMES` and `OUTCOME`, then those that the user added; all values
are text, or None where there is none. A row is a scan as long as its ``input_status`` is ``ok``.
"""

import re

import numpy as np
import pandas as pd

NAMES = ("participant_id", "session_id", "scan_id", "path")
OUTCOME = ("input_status", "reason")
FACTS = "input_facts"
"""Column of the index: what is known of an input that is left out, as JSON (`cohort.facts`)."""
DICTIONARY = "columna_dictionary"
"""Key of the index's metadata: what JSON files say of the user's columns."""
OK = "ok"
OTHER_IMAGES = frozenset(
    {"wrong_modality", "wrong_acquisition", "wrong_orientation", "derived_image"}
)
"""Codes of inputs that are no sagittal T2w scans, which is no fault of theirs."""


def accepted(rows: pd.DataFrame) -> pd.Series:
    """Which rows are scans so far."""
    return rows["input_status"] == OK


def plain_name(text: str) -> str:
    """Name of a user's column in the tables: lower case, ``_`` for all that is no letter or digit.

    Examples
    --------
    >>> plain_name("Age (years)")
    'age_years'
    """
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def leave_out(
    rows: pd.DataFrame, where: "pd.Series[bool] | np.ndarray", code: str, reason: str
) -> None:
    """Note why rows are left out; rows that already have a reason keep it.

    Parameters
    ----------
    rows
        Changed in place.
    where
        Truth value per row.
    code
        A code of ``resources/reasons.tsv``.
    reason
        One sentence for a person.
    """
    rows.loc[where & accepted(rows), list(OUTCOME)] = [code, reason]
