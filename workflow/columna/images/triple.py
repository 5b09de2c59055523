"""Three things, one for each axis of an image."""

from collections.abc import Iterable
from typing import TypeVar

Triple = tuple[float, float, float]

T = TypeVar("T")


def three(values: Iterable[T]) -> tuple[T, T, T]:
    """Take apart `values`, of which there are three; ValueError for more or fewer."""
    first, second, third = values
    return first, second, third
