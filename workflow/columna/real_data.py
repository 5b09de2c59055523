"""Real scans and masks, which are no part of the repository: where they are, if anywhere.

Tests, training and evaluation find them in the folder that the environment variable
``COLUMNA_DATA`` names; `docs/training-data.md` says which folders it may hold. What needs them
does without, and says so, where the variable is not set.
"""

import os
from pathlib import Path

from columna.errors import ColumnaError

VARIABLE = "COLUMNA_DATA"


def data_folder() -> Path | None:
    """Folder of real data, or None where the environment names none.

    Raises
    ------
    ColumnaError
        If the environment names something that is no folder.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise ColumnaError(f"{VARIABLE} names {folder}, which is no folder: correct or unset it")
    return folder
