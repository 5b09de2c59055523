"""Download of model archives: checked, unpacked safely, complete or absent."""

import hashlib
import http.client
import logging
import os
import stat
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from columna.errors import ModelError
from columna.files import write_json
from columna.models.content import shown, shown_error
from columna.models.folder import RECEIPT_NAME, ModelFolder
from columna.models.registry import MODELS_VARIABLE, KnownModel, cache_directory, known_model

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60
_MAX_BYTES = 20 << 30
"""No archive of weights is larger, packed or unpacked."""
_MAX_RATIO, _SMALL_BYTES = 10, 1 << 20
"""Weights hardly shrink: an archive that unpacks to more times its size (and is not tiny) is no
model."""
_MAX_MEMBERS = 10_000

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that have come and the bytes in all (None if the server does not say)."""

_log = logging.getLogger(__name__)


def fetch_model(
    name: str, directory: Path | None = None, progress: OnProgress | None = None
) -> Path:
    """Download a model of ``models.tsv`` unless it is here.

    Parameters
    ----------
    name
        Id or alias.
    directory
        Where to put its folder; default: the first of ``$COLUMNA_MODELS``, else the user's cache.
    progress
        Told about the download.

    Returns
    -------
    Path
        The model's folder. It appears at once and complete.

    Raises
    ------
    ModelError
        If the server cannot be reached, the digest differs from the recorded one, or the archive
        is unsafe or holds no model.
    """
    model = known_model(name)
    if model.path is not None:
        return model.path
    if not model.url:
        raise ModelError(f"model {model.id} comes with columna and has no download")
    directory = directory or _default_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as staging:
            return _fetch(model, directory / model.folder, Path(staging), progress)
    except OSError as error:
        raise ModelError(f"{directory}: cannot be written to ({shown_error(error)})") from error


def _fetch(model: KnownModel, target: Path, staging: Path, progress: OnProgress | None) -> Path:
    """Download and unpack below `staging`; only what is complete and checked goes to `target`."""
    archive, unpacked = staging / "archive.zip", staging / "unpacked"
    sha256 = _download(model, archive, target, progress)
    _check_archive(model, sha256)
    unpack(archive, unpacked)
    folder = ModelFolder.read(unpacked)
    if model.digest and folder.digest != model.digest:
        raise ModelError(
            f"{model.url}: unpacks to a model with the digest {folder.digest}, recorded is "
            f"{model.digest}"
        )
    write_json(
        folder.path / RECEIPT_NAME,
        {"url": model.url, "archive_sha256": sha256, "digest": folder.digest},
    )
    if not target.exists():
        folder.path.replace(target)
    return target


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip archive into the new folder `target`.

    Raises
    ------
    ModelError
        Before anything is written, if a member would land outside `target`, is a link, or the
        archive would grow to more than weights can; also if it is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = content.infolist()
            for member in members:
                _check_member(member)
            _check_size(archive, members)
            content.extractall(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{archive.name}: not an intact zip archive ({shown_error(error)})"
        ) from error
    except OSError as error:
        raise ModelError(f"{archive.name}: cannot be unpacked ({shown_error(error)})") from error


def _check_member(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    has_drive = ":" in "".join(path.parts[:1])
    inside = not (path.is_absolute() or has_drive or ".." in path.parts)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not inside or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelError(f"the archive is unsafe: it holds {shown(member.filename)}")


def _check_size(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    allowed = min(max(_MAX_RATIO * archive.stat().st_size, _SMALL_BYTES), _MAX_BYTES)
    unpacked = sum(member.file_size for member in members)
    if unpacked > allowed or len(members) > _MAX_MEMBERS:
        raise ModelError(
            f"{archive.name}: would unpack to {len(members)} files with {unpacked} bytes, more "
            f"than weights can ({allowed} bytes); not unpacked"
        )


def _download(model: KnownModel, archive: Path, target: Path, progress: OnProgress | None) -> str:
    """Download to `archive` and return the SHA-256 of what came."""
    if not model.url.startswith(("https://", "http://")):
        raise ModelError(f"{model.url}: only http and https are fetched")
    try:
        with urllib.request.urlopen(model.url, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            length = answer.headers.get("Content-Length") or ""
            total = int(length) if length.isdecimal() else None
            _check_source(model, answer.url)
            come, sha256 = _receive(answer, archive, total, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ModelError(
            f"{model.url}: cannot be fetched ({shown_error(error)}). Fetch it on a machine that "
            f"can, and unpack it so that inference_config.json lies in {target}"
        ) from error
    if total is not None and come != total:
        raise ModelError(f"{model.url}: {come} of {total} bytes came; try again")
    return sha256


def _check_source(model: KnownModel, came_from: str) -> None:
    """Redirections must not leave the web, nor its encryption."""
    allowed = ("https",) if model.url.startswith("https:") else ("https", "http")
    if urlsplit(came_from).scheme not in allowed:
        raise ModelError(f"{model.url}: leads to {shown(came_from)}, which is not fetched")


def _receive(
    answer: BinaryIO, archive: Path, total: int | None, progress: OnProgress | None
) -> tuple[int, str]:
    """Write what comes to `archive`; its size and SHA-256."""
    sha256, come = hashlib.sha256(), 0
    with open(archive, "wb") as stream:
        while chunk := answer.read(_CHUNK_BYTES):
            stream.write(chunk)
            sha256.update(chunk)
            come += len(chunk)
            if come > _MAX_BYTES:
                raise ValueError(f"more than {_MAX_BYTES >> 30} GiB came")
            if progress is not None:
                progress(come, total)
    return come, sha256.hexdigest()


def _check_archive(model: KnownModel, sha256: str) -> None:
    """Compare with the recorded digest; where none is recorded, show what came."""
    if not model.sha256:
        _log.warning(
            "%s: no digest is recorded for this archive, so nothing proves that it is the right "
            "one; its SHA-256 is %s",
            model.url,
            sha256,
        )
    elif sha256 != model.sha256:
        raise ModelError(
            f"{model.url}: has the SHA-256 {sha256}, recorded is {model.sha256}; not unpacked"
        )


def _default_directory() -> Path:
    named = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)[0]
    return Path(named).expanduser() if named else cache_directory()
