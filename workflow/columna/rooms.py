"""The rooms of the package, and which of them may import which, as ``docs/architecture.md`` shows.

The floors are those of the contracts in ``pyproject.toml``, which import-linter checks; what a
room does is the first line of its docstring.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

BEGIN = "<!-- Rooms: generated from pyproject.toml and the code by `make docs`. -->"
END = "<!-- End of the rooms. -->"


def floors_of(repository: Path) -> dict[str, list[list[str]]]:
    """Package -> its rooms and modules, floor by floor from the top.

    Parameters
    ----------
    repository
        The root folder, with ``pyproject.toml``.
    """
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        contract["containers"][0]: [layer.split(" | ") for layer in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
    }


def page_with_rooms(page: str, repository: Path) -> str:
    """`page` with the table of rooms between its two marks made anew.

    Raises
    ------
    ValueError
        If the page lacks a mark.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    head = "| floor | room | what it does |\n|---|---|---|"
    rows = [f"| {floor} | `{name}` | {text} |" for floor, name, text in _rows(repository)]
    return before + "\n".join([BEGIN, "", head, *rows, "", END]) + after


def _rows(repository: Path) -> Iterator[tuple[str, str, str]]:
    """Floor, name and purpose of every room, from the top; rooms within rooms after theirs."""
    floors = floors_of(repository)
    package = repository / "workflow" / "columna"
    for number, names in _numbered(floors["columna"]):
        for name in names:
            yield str(number), _shown(package / name), _purpose(package / name)
            for inner, modules in _numbered(floors.get(f"columna.{name}", [])):
                for module in modules:
                    folder = package / name / module
                    if folder.is_dir():
                        yield f"{number}.{inner}", f"{name}/{module}/", _purpose(folder)


def _numbered(floors: list[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The lowest floor is number 0."""
    return zip(reversed(range(len(floors))), floors, strict=True)


def _shown(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else f"{path.name}.py"


def _purpose(path: Path) -> str:
    """The first line of a docstring."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    return (docstring or "").split("\n")[0]
