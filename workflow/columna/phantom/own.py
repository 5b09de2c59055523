"""NIfTI files of the user's own, which join the demo cohort where they lie."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from columna.errors import CohortError
from columna.results.names import scan_id_of


class OwnScan(NamedTuple):
    """A file of the user's own; its names come from the file name."""

    participant_id: str
    scan_id: str
    path: Path


def own_scans(folder: Path) -> list[OwnScan]:
    """Every NIfTI file below `folder`, hidden ones excepted, in alphabetical order.

    Files of one name in several folders get the names of the folders, too.

    Raises
    ------
    CohortError
        If `folder` is no folder, or holds no NIfTI file.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise CohortError(f"{folder} is no folder: name one that holds NIfTI files")
    files = sorted(p for p in folder.rglob("*.nii*") if _is_nifti(p.relative_to(folder)))
    if not files:
        raise CohortError(f"{folder} holds no file that ends in .nii or .nii.gz")
    names = [scan_id_of(file) for file in files]
    times = Counter(name.lower() for name in names)
    return [
        OwnScan(scan_id.split("_")[0], scan_id, file)
        for file, name in zip(files, names, strict=True)
        for scan_id in [name if times[name.lower()] == 1 else _with_folders(file, folder)]
    ]


def _is_nifti(path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return path.name.lower().endswith((".nii", ".nii.gz")) and not is_hidden


def _with_folders(file: Path, folder: Path) -> str:
    """A scan_id from the path below `folder`, by which files of one name are told apart."""
    return scan_id_of(Path("-".join(file.relative_to(folder).parts)))
