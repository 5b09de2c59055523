"""Checkpoints as data: tensors and plain values are loaded, code never runs.

A checkpoint is a pickle, and a pickle can call anything. torch's restricted unpickler refuses
every global outside an allow-list; the list below adds the harmless types that checkpoints of
nnU-Net and Lightning carry (spineps-behaviour 2.3 and 2.4) to the tensors that it knows.
"""

import argparse
import pathlib
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from columna.errors import ModelError

_PATH_MODULES = ("pathlib", "pathlib._local")


def _allowed_globals() -> list[Any]:
    """Types and constructors, each under every name that it was ever pickled by."""
    numpy_makers = (np._core.multiarray.scalar, np._core.multiarray._reconstruct)
    dtypes = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdgSUFD"}
    return [
        argparse.Namespace,
        # pure paths: a checkpoint that was written on Windows loads on Linux
        *((pathlib.PurePosixPath, f"{module}.PosixPath") for module in _PATH_MODULES),
        *((pathlib.PureWindowsPath, f"{module}.WindowsPath") for module in _PATH_MODULES),
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        *((maker, f"numpy.core.multiarray.{maker.__name__}") for maker in numpy_makers),
        *((maker, f"numpy._core.multiarray.{maker.__name__}") for maker in numpy_makers),
        np.ndarray,
        np.dtype,
        *dtypes,
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
        If the file is damaged, is no dictionary, or wants a global outside the allow-list; the
        message names file and global.
    """
    with torch.serialization.safe_globals(_allowed_globals()):
        try:
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
        except pickle.UnpicklingError as error:
            raise ModelError(_refusal(path, error)) from error
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: not a readable checkpoint ({type(error).__name__}: {error})"
            ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not a dictionary of entries")
    return content


def _refusal(path: Path, error: Exception) -> str:
    """Say which globals of the file `path` were refused."""
    names: set[str] = set(re.findall(r"GLOBAL ([\w.]+)", str(error)))
    if zipfile.is_zipfile(path):
        names |= set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    cause = ", ".join(sorted(names)) if names else str(error)
    return f"{path}: refused, because loading it would need code beyond plain data: {cause}"
