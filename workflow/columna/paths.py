"""Paths as people write them: with ``~`` and with variables of the environment."""

import os
import re

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([^{}]*)\})")


def expanded(text: str) -> str:
    """`text` with ``~``, ``~user``, ``$NAME`` and ``${NAME}`` replaced, as a shell does.

    Raises
    ------
    ValueError
        If there is no such user, or a variable is not set; the message is a sentence.
    """
    home = os.path.expanduser(text)  # noqa: PTH111 - a Path would drop a trailing slash
    if text.startswith("~") and home == text:
        user = text[1:].split("/")[0]
        raise ValueError(f"there is no user {user!r} on this machine; give an absolute path")
    return _VARIABLE.sub(_value, home)


def _value(found: re.Match[str]) -> str:
    name = found[1] or found[2] or ""
    if not os.environ.get(name):
        raise ValueError(f"the variable {found[0]} is not set")
    return os.environ[name]
