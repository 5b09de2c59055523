"""The HTML pages, from templates in which every value is escaped."""

from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
PAGES = ("index.html", "scans.html", "scan.html", "methods.html")


def render_pages(folder: Path, values: dict[str, Any]) -> None:
    """Write `PAGES` into `folder`; what is missing in `values` is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    for page in PAGES:
        text = environment.get_template(page).render(values, page=page)
        (folder / page).write_text(text, encoding="utf-8")
