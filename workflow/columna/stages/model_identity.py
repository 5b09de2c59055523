"""Which model a stage runs: by content where it runs, at a glance where a run is planned."""

from pathlib import Path

from columna.errors import ModelError
from columna.files import read_json, stamp, write_json
from columna.models.folder import ModelFolder
from columna.models.registry import find_model


def model_identity(folder: ModelFolder, memo: Path) -> dict[str, str]:
    """Name and digest of a model, from the bytes of its files; `memo` keeps them for planning."""
    found = {"name": folder.name, "sha256": folder.digest}
    _remember(folder, memo, found)
    return found


def known_model(name: str, memo: Path) -> dict[str, str] | None:
    """As `model_identity`, but files of the same size and time are not read again.

    Returns
    -------
    dict or None
        None if there is no such model, which cohorts with masks of their own do not need.
    """
    try:
        folder = ModelFolder.read(find_model(name))
        seen = _stamps(folder)
    except (ModelError, OSError):
        return None
    try:
        known = read_json(memo)
        if known["stamps"] == seen:
            return known["model"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not known yet, or the memo is damaged
    return model_identity(folder, memo)


def _remember(folder: ModelFolder, memo: Path, model: dict[str, str]) -> None:
    content = {"stamps": _stamps(folder), "model": model}
    try:
        if read_json(memo) == content:
            return
    except (OSError, ValueError):
        pass
    write_json(memo, content)


def _stamps(folder: ModelFolder) -> list[list]:
    return [[str(file), stamp(file)] for file in folder.files]
