"""`columna spider`: the public SPIDER folder as a cohort with references."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Evaluation")(spider)


def spider(
    folder: Annotated[Path, typer.Argument(help="SPIDER: has the folders images and masks.")],
    out: Annotated[Path, typer.Option(help="Folder for the sheets and for NIfTI files.")],
) -> None:
    """Make a cohort with references, and a training dataset, of SPIDER (docs/spider.md)."""
    from columna.evaluate.spider import write_spider

    for what, number in write_spider(folder, out).items():
        typer.echo(f"{number:>6} {what}")
