"""Which models are known, and which folders hold them (``resources/models.tsv``)."""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from columna.anatomy import RESOURCES
from columna.errors import ModelError
from columna.models.content import read_keys
from columna.models.folder import RECEIPT_NAME, ModelFolder
from columna.models.inference_config import Role

MODELS_VARIABLE = "COLUMNA_MODELS"
"""Environment variable with folders to search for models, separated as in ``PATH``."""


@dataclass(frozen=True)
class KnownModel:
    """One row of ``models.tsv``.

    Parameters
    ----------
    id, alias
        Names it is asked for by; the alias may be empty.
    role
        semantic, instance or labelling.
    folder
        Name of its folder inside a models directory.
    url, sha256
        Archive and its digest; empty for bundled models, the digest also where it is unknown.
    digest
        Digest of the unpacked folder (`ModelFolder.digest`); empty where unknown.
    licence, description
        For people.
    """

    id: str
    alias: str
    role: Role
    folder: str
    url: str
    sha256: str
    digest: str
    licence: str
    description: str

    @property
    def path(self) -> Path | None:
        """Where the model is on this machine; None if it is not here."""
        return _in_directories(self.folder)


@cache
def list_models() -> tuple[KnownModel, ...]:
    """All rows of ``models.tsv``."""
    with open(RESOURCES / "models.tsv", newline="", encoding="utf-8") as stream:
        rows: Iterable[dict[str, Any]] = csv.DictReader(stream, delimiter="\t")
        return tuple(KnownModel(**row) for row in rows)


def known_model(name: str) -> KnownModel:
    """Return the row called `name` (id or alias, upper or lower case).

    Raises
    ------
    ModelError
        Listing the known ids.
    """
    for model in list_models():
        if name.lower() in {model.id, model.alias} - {""}:
            return model
    ids = ", ".join(model.id for model in list_models())
    raise ModelError(f"unknown model {name!r}; known are {ids}, or give the path of a folder")


def model_directories() -> list[Path]:
    """Where models are searched: ``$COLUMNA_MODELS``, the bundled ones, the user's cache."""
    named = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    return [
        *(Path(name).expanduser() for name in named if name),
        RESOURCES / "models",
        cache_directory(),
    ]


def cache_directory() -> Path:
    """Where fetched models go if ``$COLUMNA_MODELS`` names no folder."""
    return Path.home() / ".cache" / "columna" / "models"


def find_model(name: str | Path) -> Path:
    """Find the folder of a model.

    Parameters
    ----------
    name
        A path (a Path, or text with a path separator), an id or alias of ``models.tsv``, or the
        name of a folder in one of `model_directories`.

    Raises
    ------
    ModelError
        If there is no such model here, saying how to get it.
    """
    if isinstance(name, Path) or "/" in name or os.sep in name or name in (".", ".."):
        path = Path(name).expanduser()
        if not path.is_dir():
            raise ModelError(f"{path}: no such model folder")
        return path
    found = _in_directories(name) if name else None
    if found is not None:
        return found
    model = known_model(name)
    if model.path is None:
        raise ModelError(_how_to_get(model))
    return model.path


def verify_model(name: str | Path) -> str:
    """Compare a model folder with its recorded digest.

    Returns
    -------
    str
        A sentence with the digest; it says so if there is no record to compare with.

    Raises
    ------
    ModelError
        If the folder has changed.
    """
    folder = ModelFolder.read(find_model(name))
    if check_recorded(folder):
        return f"{folder.path}: unchanged, digest {folder.digest}"
    return (
        f"{folder.path}: readable, but no digest is recorded to compare with; it is {folder.digest}"
    )


def check_recorded(folder: ModelFolder) -> bool:
    """Compare a folder with what ``models.tsv`` records, else with what `fetch_model` noted.

    Returns
    -------
    bool
        Whether there is anything to compare with: nobody knows the digest of your own models.

    Raises
    ------
    ModelError
        If the files are not the recorded ones: damaged, exchanged or edited.
    """
    digest, recorded = folder.digest, _recorded_digest(folder.path)
    if recorded and recorded != digest:
        raise ModelError(
            f"{folder.path}: has changed; its digest is {digest}, recorded is {recorded}. Restore "
            f"the folder; if the change is meant, copy it elsewhere and remove its {RECEIPT_NAME}"
        )
    return bool(recorded)


def _recorded_digest(path: Path) -> str:
    """Digest from models.tsv, else from the receipt of `fetch_model`, else nothing."""
    place = path.resolve()
    for model in list_models():
        if model.digest and model.path and place.is_relative_to(model.path.resolve()):
            return model.digest
    receipt = path / RECEIPT_NAME
    return str(read_keys(receipt).get("digest", "")) if receipt.exists() else ""


def _in_directories(folder: str) -> Path | None:
    candidates = (directory / folder for directory in model_directories())
    return next((path for path in candidates if path.is_dir()), None)


def _how_to_get(model: KnownModel) -> str:
    searched = ", ".join(str(directory) for directory in model_directories())
    how = (
        f"run `columna models fetch {model.id}`"
        if model.url
        else "install columna with its resources"
    )
    return f"model {model.id} is not here (searched {searched} for {model.folder}); {how}"
