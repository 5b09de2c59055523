"""NumPy's numbers and arrays in pickles, rebuilt as plain data.

Checkpoints carry a few of them (best scores, histories). NumPy's own constructors are no safe
choice: a pickled ``dtype`` sets its flags itself, and a number type that claims to hold Python
objects makes NumPy follow its bytes as pointers. Here a type is known by its code alone.
"""

import pickle
import re
from typing import Any

import numpy as np

_CODE = re.compile(r"b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU][0-9]{1,4}")
_ORDERS = {"<", ">", "=", "|"}


class PlainType:
    """What ``numpy.dtype`` is replaced by: the code of a number or text type and its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError("numpy.dtype of something else than numbers or text")
        self._type = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in _ORDERS:
            raise pickle.UnpicklingError("numpy.dtype of an unknown byte order")
        self._type = self._type.newbyteorder(order)

    def values(self, content: bytes) -> np.ndarray:
        """Values of this type that `content` holds, one after the other."""
        if not isinstance(content, bytes):
            raise pickle.UnpicklingError("numpy values that are no bytes")
        return np.frombuffer(content, self._type)


class PlainArray(np.ndarray):
    """An array that takes its values from bytes only."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        values = _typed(kind).values(content)
        state = (1, tuple(shape), values.dtype, bool(is_fortran), content)
        super().__setstate__(state)  # type: ignore[arg-type]  # NumPy takes no bool of its own


def scalar(kind: PlainType, content: bytes) -> np.generic:
    """One number: what ``numpy.core.multiarray.scalar`` is replaced by."""
    [value] = _typed(kind).values(content)
    return value


def empty_array(*_: object) -> PlainArray:
    """Array that a state is about to fill: what NumPy's ``_reconstruct`` is replaced by."""
    return np.empty(0).view(PlainArray)


def no_bytes() -> bytes:
    """Content of an array without values, whose pickle calls ``bytes``."""
    return b""


def _typed(kind: object) -> PlainType:
    if not isinstance(kind, PlainType):
        raise pickle.UnpicklingError("numpy values without a type")
    return kind


REPLACEMENTS = [
    (PlainType, "numpy.dtype"),
    (PlainArray, "numpy.ndarray"),
    (no_bytes, "builtins.bytes"),
    *(
        (made, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for made, name in ((scalar, "scalar"), (empty_array, "_reconstruct"))
    ),
]
"""Replacement and the name in pickles, as torch's list of safe globals takes them."""
