"""Checkpoints as data: tensors and plain values are loaded, code never runs.

A checkpoint is a pickle, and a pickle can call anything. torch's restricted unpickler refuses
every global outside an allow-list; the list below adds the harmless types that checkpoints of
nnU-Net and Lightning carry (docs/method.md#model-folders) to the tensors that it knows.
"""

import argparse
import pathlib
import pickle
import re
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from columna.errors import ModelError
from columna.files import open_regular
from columna.models.content import listed, refuse_pointer, shown_error
from columna.models.pickled_numpy import REPLACEMENTS

_PATH_MODULES = ("pathlib", "pathlib._local")


def _allowed_globals() -> list[Any]:
    """Types and constructors, each under every name that it was ever pickled by."""
    return [
        argparse.Namespace,
        # pure paths: a checkpoint that was written on Windows loads on Linux
        *((pathlib.PurePosixPath, f"{module}.PosixPath") for module in _PATH_MODULES),
        *((pathlib.PureWindowsPath, f"{module}.WindowsPath") for module in _PATH_MODULES),
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        *REPLACEMENTS,
    ]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint on the CPU without running code from it.

    Parameters
    ----------
    path
        A file that ``torch.save`` wrote.

    Returns
    -------
    dict
        The checkpoint's entries. Tensors of zip-format files are mapped from the disk, so that
        entries that nobody reads (optimizer states) cost nothing.

    Raises
    ------
    ModelError
        If the file is damaged (checksums of zip-format files included), is no dictionary, or
        wants a global outside the allow-list; the message names file and global.
    """
    refuse_pointer(path)
    with torch.serialization.safe_globals(_allowed_globals()):
        try:
            is_zip = _has_right_checksums(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
        except (ModelError, MemoryError):
            raise
        except pickle.UnpicklingError as error:
            raise ModelError(_refusal(path, error)) from error
        except Exception as error:  # damaged pickles raise whatever their opcodes meet
            raise ModelError(
                f"{path}: not a readable checkpoint ({type(error).__name__}: {shown_error(error)})"
            ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not a dictionary of entries")
    return content


def trained_configuration(checkpoint: dict[str, Any], path: Path) -> str:
    """Name of the plan's configuration that an nnU-Net checkpoint was trained with.

    Raises
    ------
    ModelError
        If it does not say; `path` names it.
    """
    arguments = checkpoint.get("init_args")
    name = arguments.get("configuration") if isinstance(arguments, dict) else None
    if not isinstance(name, str):
        raise ModelError(f"{path}: the entry init_args.configuration is missing")
    return name


def _has_right_checksums(path: Path) -> bool:
    """Whether the file is a zip archive; its members must be whole and, as torch's are, unpacked.

    torch itself compares no checksums of mapped files.
    """
    with open_regular(path) as stream:
        if not zipfile.is_zipfile(stream):
            return False
        with zipfile.ZipFile(stream) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ModelError(f"{path}: refused, because the checkpoint is compressed")
            try:
                damaged = archive.testzip()
            except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
                damaged = str(error)
    if damaged is not None:
        raise ModelError(f"{path}: is damaged at {damaged!r}; copy or download it again")
    return True


def _refusal(path: Path, error: Exception) -> str:
    """Say which globals of the file `path` were refused."""
    names: set[str] = set(re.findall(r"GLOBAL ([\w.]+)", str(error)))
    if zipfile.is_zipfile(path):
        with suppress(Exception):  # the names only help, and the pickle may be damaged
            names |= set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    cause = listed(sorted(names)) if names else shown_error(error)
    return f"{path}: refused, because loading it would need code beyond plain data: {cause}"
