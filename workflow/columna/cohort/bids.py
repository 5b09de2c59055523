"""BIDS folders: every image below the folder is a row, whether it is a scan or not.

bids2table reads the entities. Its `index_dataset` is not used: it takes 0.5 ms per file, returns
an empty table for folders with a dot or a bracket in their name, and does not see files that
break the naming rules, which would be left out without a reason.
"""

import errno
import logging
import os
import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from bids2table import parse_bids_entities

from columna.cohort.candidates import NAMES, OK, OUTCOME
from columna.cohort.row_checks import check_rows
from columna.errors import CohortError
from columna.prepare.modality import T2W_SUFFIXES, Verdict, name_verdict, stem

IMAGES = re.compile(
    r".*\.(nii(\.(gz|bz2|xz|zst|zip|7z|z))*|img|mgh|mgz|mha|mhd|nhdr|nrrd)",
    re.IGNORECASE | re.DOTALL,
)
"""Names of images, also of those that columna does not read; ``.nii.gz.gz`` is packed twice."""
SKIPPED = re.compile(r"\..*|derivatives.*|sourcedata|code", re.IGNORECASE)
"""Folders that hold no raw data, at any depth; hidden ones among them."""
PLACE = re.compile(
    r"(?:rawdata/)?(?P<sub>sub-[A-Za-z0-9+]+)/(?:(?P<ses>ses-[A-Za-z0-9+]+)/)?(?P<datatype>[a-z]+)/[^/]+"
)
BELOW_SUBJECT = re.compile(r"(?:.*/)?(?P<sub>sub-[^/_.]+)(?:/(?P<ses>ses-[^/_.]+))?(?:/[^/.]+)*")
"""A folder of a subject, or one below; files have a dot in their name."""
EXPECTED = re.compile(r"(?:sub|ses)-[^_.]+|anat")
"""Folders that scans are lost with."""
WALK_THREADS = 8

NOT_PLACED = (
    "not_bids",
    "The file is not at sub-<label>/[ses-<label>/]<datatype>/; move it, or use a cohort sheet.",
)
NOTHING_THERE = (
    "missing_file",
    "No image is in this folder: it is empty, or a link that leads nowhere (DataLad: get it "
    "first), or it holds other files (DICOM: convert them to NIfTI).",
)
NOT_NAMED = (
    "not_bids",
    "Subject or session in the file name are not those of its folders; rename the file.",
)

log = logging.getLogger(__name__)


def read_bids(folder: Path, skip: Iterable[Path] = (), known: Collection[str] = ()) -> pd.DataFrame:
    """List and check the images of a BIDS folder.

    Derivatives, source data, code and hidden folders are not entered, hidden files are no images
    (``._`` files of macOS); links are followed.

    Parameters
    ----------
    folder
        The dataset, or the folder above its ``rawdata``.
    skip
        Folders inside that are not entered either (results written into the dataset).
    known
        Scans that have a batch already (`columna.cohort.row_checks.check_duplicates`).

    Returns
    -------
    pandas.DataFrame
        One row per image, sorted by path (`columna.cohort.candidates`). The scan_id is the file
        name without ending, with the session of its folder where the name lacks it.

    Raises
    ------
    CohortError
        If there is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CohortError(f"{folder}: no such folder")
    # .nii.gz before .nii: of one scan in both forms, the first one stays
    images = sorted(find_images(folder, skip), key=lambda p: (p.removesuffix(".gz"), -len(p)))
    if not images:
        raise CohortError(f"{folder}: no image in this folder; is it a BIDS dataset?")
    rows = pd.DataFrame(map(_row, images), columns=[*NAMES, *OUTCOME], dtype=object)
    if folder != Path():
        rows["path"] = f"{folder}/" + rows["path"]
    check_rows(rows, known)
    return rows


def find_images(folder: Path, skip: Iterable[Path] = ()) -> list[str]:
    """List all images below `folder`, relative to it; folders as in `read_bids`.

    Subjects must not vanish: a folder of a subject without any image (a link that leads nowhere or
    round in a circle, a dataset that was never fetched, DICOM) is listed too. Bytes of a name that
    are not UTF-8 are written as escapes.
    """
    closed = {_identity(path) for path in skip if path.is_dir()} - {
        _identity(path) for path in (folder, *folder.absolute().parents)
    }
    top = _Place(str(folder), frozenset([_identity(folder)]))
    images, below = _list_folder(top, closed)
    with ThreadPoolExecutor(WALK_THREADS) as pool:  # network file systems answer slowly
        for more in pool.map(lambda place: _walk(place, closed), below):
            images += more
    prefix = len(os.path.join(folder, ""))  # noqa: PTH118
    return [os.fsencode(p)[prefix:].decode(errors="backslashreplace") for p in images]


class _Row(NamedTuple):
    participant_id: str | None
    session_id: str | None
    scan_id: str
    path: str
    input_status: str
    reason: str | None


class _Place(NamedTuple):
    """A folder, and those that lead to it: a link to one of them would go round for ever."""

    path: str
    chain: frozenset[tuple[int, int]]


def _row(path: str) -> _Row:
    """Take from place and name of an image what they say."""
    file = Path(path)
    lost = None if IMAGES.fullmatch(path) else BELOW_SUBJECT.fullmatch(path)
    if lost is not None:
        name = path[lost.start("sub") :].replace("/", "_")
        return _Row(lost["sub"], lost["ses"], name, path, *NOTHING_THERE)
    name = stem(file)
    place = PLACE.fullmatch(path)
    if place is None:
        return _Row(None, None, name, path, *NOT_PLACED)
    subject, session = place["sub"], place["ses"]
    entities = parse_bids_entities(file)
    named = f"ses-{entities['ses']}" if "ses" in entities else None
    if subject != f"sub-{entities.get('sub')}" or (session and named and session != named):
        return _Row(subject, session, name, path, *NOT_NAMED)
    if session and not named:
        name = name.replace(subject, f"{subject}_{session}", 1)
    verdict = name_verdict(file) or _kind_verdict(entities, place["datatype"]) or (OK, None)
    return _Row(subject, session or named, name, path, *verdict)


def _kind_verdict(entities: dict[str, str], datatype: str) -> Verdict | None:
    """In BIDS a T2w scan says so: the suffix is known, the folder is anat."""
    suffix = entities.get("suffix", "")
    if suffix.lower() not in T2W_SUFFIXES:
        return "wrong_modality", f"The suffix '{suffix}' is not T2w; rename the file if it is."
    if datatype != "anat":
        return "wrong_modality", f"The file is in the folder '{datatype}', not in 'anat'."
    return None


def _walk(top: _Place, closed: set[tuple[int, int]]) -> list[str]:
    images: list[str] = []
    folders: list[str] = []
    waiting = [top]
    while waiting:
        place = waiting.pop()
        found, below = _list_folder(place, closed)
        images += found
        waiting += below
        folders.append(place.path)
    return images + _without_images(folders, images)


def _without_images(folders: list[str], images: list[str]) -> list[str]:
    """Folders of a subject that none of `images` is in; the innermost of them."""
    told: set[str] = set()

    def tell(path: str) -> None:
        while path and path not in told:
            told.add(path)
            path = path.rpartition("/")[0]

    for image in images:
        tell(image)
    lost = []
    for folder in sorted(folders, key=len, reverse=True):  # a folder after those in it
        if folder not in told and _is_expected(folder):
            lost.append(folder)
            tell(folder)
    return lost


def _list_folder(place: _Place, closed: set[tuple[int, int]]) -> tuple[list[str], list[_Place]]:
    """Images and lost folders in a folder, and the folders in it to go on with."""
    images, below = [], []
    for entry in _entries(place.path):
        is_image = bool(IMAGES.fullmatch(entry.name))
        if is_image and entry.name.startswith("."):
            log.debug("hidden, no image: %s", entry.path)
            continue
        if is_image:
            images.append(entry.path)
        if _is_folder(entry):
            identity = _identity(entry)
            if SKIPPED.fullmatch(entry.name) or identity in closed:
                log.info("not entered: %s", entry.path)
            elif identity not in place.chain:
                below.append(_Place(entry.path, place.chain | {identity}))
            elif _is_expected(entry.path):
                images.append(entry.path)
        elif not is_image and _leads_nowhere(entry):
            images.append(entry.path)
    return images, below


def _is_expected(path: str) -> bool:
    """Whether a folder should hold scans of a subject."""
    return bool(BELOW_SUBJECT.fullmatch(path) and EXPECTED.fullmatch(path.rpartition("/")[2]))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; links that lead nowhere are none."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise CohortError(f"{entry.path}: cannot be reached: {error.strerror}") from error


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link in place of a subject's folder, with nothing behind it."""
    is_link = BELOW_SUBJECT.fullmatch(entry.path) and entry.is_symlink()
    return bool(is_link) and not Path(entry.path).exists()


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:  # going on would lose scans without a word
        raise CohortError(f"{folder}: the folder cannot be listed: {error.strerror}") from error


def _identity(path: Path | os.DirEntry[str]) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
