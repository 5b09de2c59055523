"""Download of model archives: checked, unpacked safely, complete or absent."""

import hashlib
import logging
import os
import stat
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from columna.errors import ModelError
from columna.files import write_json
from columna.models.folder import ModelFolder
from columna.models.registry import (
    MODELS_VARIABLE,
    RECEIPT_NAME,
    KnownModel,
    cache_directory,
    known_model,
)

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60
_MAX_UNPACKED_BYTES = 20 << 30

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have come and the bytes in all (None if the server does not say)."""

_log = logging.getLogger(__name__)


def fetch_model(name: str, directory: Path | None = None, progress: Progress | None = None) -> Path:
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
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / model.folder
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as staging:
        archive = Path(staging) / "archive.zip"
        sha256 = _download(model, archive, target, progress)
        _check_archive(model, sha256)
        unpacked = Path(staging) / "unpacked"
        unpack(archive, unpacked)
        folder = ModelFolder.read(unpacked)
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
        archive is damaged or absurdly large.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = content.infolist()
            for member in members:
                _check_member(member, target)
            if sum(member.file_size for member in members) > _MAX_UNPACKED_BYTES:
                raise ModelError(f"{archive.name}: would unpack to more than 20 GiB")
            content.extractall(target)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{archive.name}: not an intact zip archive ({error})") from error


def _check_member(member: zipfile.ZipInfo, target: Path) -> None:
    root = target.resolve()
    inside = (root / member.filename.replace("\\", "/")).resolve().is_relative_to(root)
    if not inside or stat.S_ISLNK(member.external_attr >> 16):
        raise ModelError(f"the archive is unsafe: it holds {member.filename!r}")


def _download(model: KnownModel, archive: Path, target: Path, progress: Progress | None) -> str:
    """Download to `archive` and return the SHA-256 of what came."""
    if not model.url.startswith(("https://", "http://")):
        raise ModelError(f"{model.url}: only http and https are fetched")
    sha256 = hashlib.sha256()
    come = 0
    try:
        with (
            urllib.request.urlopen(model.url, timeout=_TIMEOUT_S) as answer,  # noqa: S310
            open(archive, "wb") as stream,
        ):
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            while chunk := answer.read(_CHUNK_BYTES):
                stream.write(chunk)
                sha256.update(chunk)
                come += len(chunk)
                if progress is not None:
                    progress(come, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ModelError(
            f"{model.url}: cannot be fetched ({error}). Fetch it on a machine that can, and unpack "
            f"it so that inference_config.json lies in {target}"
        ) from error
    if total is not None and come != total:
        raise ModelError(f"{model.url}: {come} of {total} bytes came; try again")
    return sha256.hexdigest()


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
