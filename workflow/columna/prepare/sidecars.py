"""The sidecars of a scan, as BIDS inherits them.

Inside a BIDS dataset a JSON file says something about every scan below its folder whose name has
the same suffix and all of its entities; the nearest file wins
(https://bids-specification.readthedocs.io/en/stable/common-principles.html#the-inheritance-principle).
Elsewhere only the file of the same name beside the scan counts.
"""

import os
import re
from collections.abc import Callable, Collection
from itertools import combinations
from pathlib import Path
from typing import Any

from columna.errors import UnavailableError
from columna.files import NotRegularError, read_json, sha256_file
from columna.prepare.modality import stem

FileNames = Collection[str]
MOST_ENTITIES = 10
"""Names with more entities are not BIDS; they would have more than a thousand candidates."""
_FOLDERS = re.compile(r"sub-[A-Za-z0-9+]+(/ses-[A-Za-z0-9+]+)?/[a-z]+")


def sidecar_paths(path: Path, names_in: Callable[[str], FileNames] | None = None) -> list[Path]:
    """Sidecars of a scan that exist, those that are overruled first.

    They are found by the names that they may have, so that large folders need not be listed. Of
    two files in one folder, the one with more entities wins (BIDS does not allow such a pair).

    Parameters
    ----------
    path
        The scan, which need not exist.
    names_in
        Names of the JSON files in a folder (`json_names`, remembered), where many scans are asked
        for; default: the file system is asked for each name.

    Returns
    -------
    list of Path
        Regular files, from the root of the dataset down to the folder of the scan.
    """
    path = Path(path)
    found = []
    folders = _folders(path)
    own = f"{stem(path)}.json"
    candidates = _candidates(own) if len(folders) > 1 else [own]
    for folder in folders:
        names = None if names_in is None else names_in(str(folder))
        for name in candidates:
            file = folder / name
            if (names is None or name in names) and os.path.isfile(file):  # noqa: PTH113
                found.append(file)
    return found


def sidecar_sha256(path: Path) -> list[str | None]:
    """Digests of the sidecars of a scan, in their order; None for one that is just going.

    Raises
    ------
    UnavailableError
        If the system does not hand out one of them.
    """
    return [_sha256(file) for file in sidecar_paths(path)]


def read_sidecar(path: Path, names_in: Callable[[str], FileNames] | None = None) -> dict[str, Any]:
    """Merge the sidecars of a scan; empty where there is none that can be used.

    Parameters: as `sidecar_paths`.
    """
    merged: dict[str, Any] = {}
    for file in sidecar_paths(path, names_in):
        merged |= read_json_object(file)
    return merged


def unusable_sidecars(path: Path) -> list[Path]:
    """Sidecars of a scan that say nothing: damaged ones, and pointers of git-annex and Git LFS."""
    return [file for file in sidecar_paths(path) if _json_object(file) is None]


def read_json_object(file: Path) -> dict[str, Any]:
    """Content of a JSON file; empty where it cannot be read or is no object."""
    return _json_object(file) or {}


def _json_object(file: Path) -> dict[str, Any] | None:
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _sha256(file: Path) -> str | None:
    try:
        return sha256_file(file)
    except (FileNotFoundError, NotRegularError):
        return None
    except OSError as error:
        raise UnavailableError.of_input(file, error) from error


def json_names(folder: str) -> FileNames:
    """Names of the JSON files in a folder; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.name.endswith(".json"))
    except OSError:
        return frozenset()


def _folders(path: Path) -> list[Path]:
    """Folders whose sidecars count, from the root of the dataset down to that of the scan."""
    folder = path.parent
    for levels in (2, 3):
        parts = folder.parts[-levels:]
        if len(parts) == levels and _FOLDERS.fullmatch("/".join(parts)):
            above = [folder, *folder.parents][: levels + 1]
            return above[::-1]
    return [folder]


def _candidates(own: str) -> list[str]:
    """Names of sidecars for the scan whose own one is called `own`, the most general first."""
    *entities, suffix = own.split("_")
    if len(entities) > MOST_ENTITIES or not all("-" in entity for entity in entities):
        return [own]
    return [
        "_".join([*chosen, suffix])
        for count in range(len(entities) + 1)
        for chosen in combinations(entities, count)
    ]
