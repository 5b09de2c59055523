"""Data of the pages as script files: browsers do not let pages on a disk read any other files."""

import json
from pathlib import Path
from typing import Any

NAMESPACE = "window.columna"


def inert(text: str) -> str:
    """JSON with nothing in it that HTML or older JavaScript could take for its own.

    A ``<`` can only be inside strings, where JSON may write it as an escape.
    """
    return (
        text.replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def as_json(content: Any) -> str:
    """Compact JSON that is `inert`; NaN and infinities are an error."""
    return inert(json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False))


def write_value(path: Path, name: str, content: Any) -> None:
    """A script that hands the pages one value: ``columna.<name>``."""
    path.write_text(f"{NAMESPACE}.{name} = {as_json(content)};\n", encoding="utf-8")


def write_page(folder: Path, kind: str, number: int, rows: list[str]) -> None:
    """A script that hands the pages the rows `number` of a kind of data.

    Parameters
    ----------
    folder
        Gets ``<kind>/<number>.js``.
    kind, number
        What the rows are, and which page of them, from 0.
    rows
        JSON of each row.
    """
    path = folder / kind / f"{number}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = inert(",\n".join(rows))
    path.write_text(f'{NAMESPACE}.page("{kind}",{number},[{text}]);\n', encoding="utf-8")
