"""The rooms of the package: imports go one way, and names are told apart."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from columna.chain import CHAIN, STAGES
from columna.rooms import BEGIN, END, floors_of, page_with_rooms
from workspace import REPOSITORY

PACKAGE = REPOSITORY / "workflow" / "columna"
UNIT = REPOSITORY / "tests" / "unit"
MODULES = [p.relative_to(PACKAGE) for p in sorted(PACKAGE.rglob("*.py"))]
SAME_THING = (Path("tables"), Path("measure/rows"))
"""A table is declared in the one and made in the other."""


def test_rooms_import_only_from_floors_below():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_module_can_be_imported_first():
    """No module needs another one to have been imported before it: there are no circles."""
    edges = {module: imports_of(module) for module in map(dotted, MODULES)}
    done: set[str] = set()
    for module in edges:
        visit(module, edges, done, ())


def dotted(path):
    return ".".join(("columna", *path.with_suffix("").parts)).removesuffix(".__init__")


def imports_of(module):
    """Modules of the package that `module` imports when it is imported itself."""
    names = {dotted(path) for path in MODULES}
    path = PACKAGE.parent / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & names or {node.module}
    return (found & names) - {"columna"}


def visit(module, edges, done, above):
    assert module not in above, " -> ".join((*above, module))
    if module not in done:
        for other in edges[module]:
            visit(other, edges, done, (*above, module))
        done.add(module)


def test_the_page_names_every_room_and_no_other():
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition(BEGIN)[2].partition(END)[0]
    named = [line.split("`")[1] for line in table.splitlines() if "`" in line]
    rooms = {f"{path.parent}/" for path in MODULES if path.name == "__init__.py"} - {"./"}
    single = {path.name for path in MODULES if len(path.parts) == 1} - {"__init__.py"}
    assert sorted(named) == sorted(rooms | single)
    assert page_with_rooms(page, REPOSITORY) == page, "run `make docs` and commit the result"


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs the lines"):
        page_with_rooms("# Architecture\n", REPOSITORY)


def test_files_of_one_name_are_about_one_thing():
    """Commands are named after rooms, stages after theirs, rows after the table they are for."""
    places = defaultdict(list)
    for path in MODULES:
        if path.stem not in ("__init__", "__main__") and path.parts[0] != "cli":
            places[path.name].append(path.parent)
    twice = {n: p for n, p in places.items() if len(p) > 1 and not set(p) <= set(SAME_THING)}
    assert not twice


def test_classes_and_types_of_one_name_are_one():
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.parse((PACKAGE / path).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name[:1].isupper() and not name.isupper():
                    places[name].append(path)
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_every_stage_has_a_room_of_its_name():
    rooms = {name for floor in floors_of(REPOSITORY)["columna"] for name in floor}
    assert set(STAGES) <= rooms
    assert all((PACKAGE / "stages" / f"{stage}.py").is_file() for stage in STAGES)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("assess", "picture")])
def test_rules_ask_for_a_gpu_where_the_stage_has_a_network(stage):
    rule = (PACKAGE.parent / "rules" / f"{stage}.smk").read_text(encoding="utf-8")
    assert ("gpu=" in rule) == CHAIN[stage].uses_network


def test_tests_are_in_the_rooms_of_what_they_test():
    folders = {p.parent.relative_to(UNIT) for p in UNIT.rglob("test_*.py")} - {Path()}
    assert not {folder for folder in folders if not (PACKAGE / folder).is_dir()}


def test_no_two_tests_have_one_name():
    """Processes that a test spawns would mistake one for the other."""
    places = defaultdict(list)
    for path in (REPOSITORY / "tests").rglob("*.py"):
        if path.name != "conftest.py":
            places[path.name].append(path)
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}
