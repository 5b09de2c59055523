"""What code and pages cite can be opened: a page of this repository, or a paper."""

import re
import subprocess
from functools import cache

import pytest

from workspace import REPOSITORY

CITING = (".py", ".md", ".tsv", ".smk", ".yaml", ".toml")
UNAVAILABLE = re.compile(
    r"(?i:spineps-behaviour|morphometrics(?:\.md|[ ,]+(?:G?\d|section))|style-anchors)"
    r"|snakemake-slurm\.md|\bDESIGN(?:\.md)?\b(?!_)|\(case \d\d\)"
)
"""Names of documents that readers of the repository do not have."""
PAGE = re.compile(r"(?<![\w/])((?:docs|config|resources)/[\w/.-]+\.md)(?:#([\w-]+))?")
CODE = re.compile(r"(?<![\w/.])((?:tests|benchmarks|workflow)/[\w/]+\.(?:py|smk|sh))(?!\w)")
NAME = re.compile(r"`(columna(?:\.(?!yaml)\w+)+)`")
LINK = re.compile(r"\]\(([^)#:\s]*)#([\w-]+)\)")
NUMBER = re.compile(r"(?<![\w.-])([GW]\d{1,2})(?![\w.])")
"""Definitions of docs/measures.md and defects of docs/differences.md."""
HOME = {"G": "docs/measures.md", "W": "docs/differences.md"}
SECTION = re.compile(r"\bsections? \d", re.IGNORECASE)
PAPER = re.compile(r"\b(?:19|20)\d\d\b|arXiv|doi")
THIS = "tests/workflow/test_citations.py"


@cache
def texts():
    """Tracked path -> text of all files that cite."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {
        path: (REPOSITORY / path).read_text(encoding="utf-8")
        for path in listed.stdout.splitlines()
        if path.endswith(CITING) and path != THIS and (REPOSITORY / path).is_file()
    }


@cache
def anchors(path):
    """What a link to a page may end in: its own ids, and its headings as GitHub names them."""
    text = re.sub(r"```.*?```", "", (REPOSITORY / path).read_text(encoding="utf-8"), flags=re.S)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


def is_file(path):
    return (REPOSITORY / path).is_file()


@cache
def is_name(dotted):
    """Whether there is a module of that name, or one that has such a name in it."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        base = (REPOSITORY / "workflow").joinpath(*parts[:n])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.is_file():
            return n == len(parts) or parts[n] in re.findall(r"\w+", file.read_text("utf-8"))
    return False


def complaints(path, text):
    """Everything in `text` that cites what is not there."""
    yield from (f"{path}: {found.group()}" for found in UNAVAILABLE.finditer(text))
    for page, anchor in PAGE.findall(text):
        if not (REPOSITORY / page).is_file():
            yield f"{path}: {page} does not exist"
        elif anchor and anchor not in anchors(page):
            yield f"{path}: {page} has no {anchor}"
    yield from (f"{path}: {f} does not exist" for f in CODE.findall(text) if not is_file(f))
    yield from (f"{path}: there is no {n}" for n in NAME.findall(text) if not is_name(n))
    for number in NUMBER.findall(text):
        if number.lower() not in anchors(HOME[number[0]]):
            yield f"{path}: {HOME[number[0]]} does not define {number}"
    for found in SECTION.finditer(text):
        if not PAPER.search(text[max(found.start() - 200, 0) : found.end() + 100]):
            yield f"{path}: '{found.group()}' of what?"


def link_complaints(path, text):
    """Links of a page to headings that are not there."""
    for target, anchor in LINK.findall(text):
        page = (REPOSITORY / path).parent / target if target else REPOSITORY / path
        if page.suffix == ".md" and anchor not in anchors(page.resolve()):
            yield f"{path}: {target}#{anchor}"


def test_everything_cited_can_be_opened():
    found = [line for path, text in texts().items() for line in complaints(path, text)]
    assert not found, "\n".join(found)


def test_links_to_headings_lead_somewhere():
    pages = {path: text for path, text in texts().items() if path.endswith(".md")}
    found = [line for path, text in pages.items() for line in link_complaints(path, text)]
    assert not found, "\n".join(found)


def test_all_definitions_and_defects_are_defined():
    assert {f"g{n}" for n in range(1, 16)} <= anchors("docs/measures.md")
    assert {f"w{n}" for n in range(1, 18)} <= anchors("docs/differences.md")


@pytest.mark.parametrize(
    "text",
    [
        "(spineps-behaviour 5.2)",
        "(morphometrics G11)",
        "as morphometrics, section 2, says",
        "see DESIGN.md",
        "away when the job reads it (case 02)",
        "docs/no_such_page.md",
        "run benchmarks/no_such_script.py",
        "`columna.measure.no_such_module`",
        "`columna.measure.context.NoSuchClass`",
        "docs/method.md#no-such-heading",
        "as G16 defines",
        "a weakness (W99)",
        "the rules of section 4",
    ],
)
def test_a_dangling_citation_is_found(text):
    assert list(complaints("example.py", text))


@pytest.mark.parametrize(
    "text",
    [
        "(docs/method.md#articular-processes)",
        "`columna.measure.context.MeasureContext`, tests/workflow/test_citations.py",
        "(G3, G7 of docs/measures.md)",
        "Maier-Hein et al. 2024, section 3.2",
        "a good design",
    ],
)
def test_a_sound_citation_is_not(text):
    assert not list(complaints("example.py", text))
