"""The JSON files of a model folder: read, checked, and refused in one sentence."""

import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from columna.errors import ModelError
from columna.files import read_json
from columna.prepare.pointers import file_pointer_reason

MAX_BYTES = 64 << 20
"""No plan is larger; some list every case that they were trained on."""
_SHOWN = 5

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_keys(path: Path) -> dict[str, Any]:
    """Read a JSON file that has to hold keys.

    Raises
    ------
    ModelError
        If it does not, or is damaged, too large, or no regular file.
    """
    refuse_pointer(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: larger than {MAX_BYTES >> 20} MiB; no model says so much")
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({shown_error(error)})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds no keys")
    return content


def refuse_pointer(path: Path) -> None:
    """Raise ModelError for a file of git-annex or Git LFS whose content was never fetched.

    A file that cannot be read is left to the reader to name.
    """
    try:
        reason = file_pointer_reason(path)
    except (OSError, ValueError):
        return
    if reason is not None:
        raise ModelError(f"{path}: {reason}")


def validated(model: type[AnyModel], content: Any, what: str) -> AnyModel:
    """`content` as a `model`; the ModelError of wrong content begins with `what`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [f"{_place(e['loc'])}{e['msg']}" for e in error.errors(include_input=False)]
        raise ModelError(f"{what}: {listed(problems, '; ')}") from error


def listed(items: Iterable[str], separator: str = ", ") -> str:
    """The first few of `items`, and how many more there are."""
    items = list(items)
    more = f"{separator}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return separator.join(items[:_SHOWN]) + more


def shown(name: object) -> str:
    """A value of a file, short and on one line, whatever it is."""
    return reprlib.repr(name)


def shown_error(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _place(location: tuple[int | str, ...]) -> str:
    parts = [
        str(part) if isinstance(part, int) or part.isidentifier() else shown(part)
        for part in location
    ]
    return f"{'.'.join(parts)}: " if parts else ""
