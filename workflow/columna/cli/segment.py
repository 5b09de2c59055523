"""`columna segment`: one scan, without Snakemake."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import Threads
from columna.config import Config, load_config


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="One scan")(segment)


def segment(
    scan: Annotated[Path, typer.Argument(help="Sagittal T2w scan (.nii or .nii.gz).")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for masks, points, picture and tables.")
    ],
    configfile: Annotated[
        Path | None, typer.Option("--configfile", help="Configuration; default: built-in defaults.")
    ] = None,
    threads: Threads = 2,
    lowest_level: Annotated[
        str | None, typer.Option(help="Level of the lowest vertebra seen, such as L5.")
    ] = None,
    highest_level: Annotated[
        str | None, typer.Option(help="Level of the topmost vertebra seen.")
    ] = None,
) -> None:
    """Segment one scan: masks in its own grid, centroids, a picture, and the tables."""
    from columna.segment import segment_scan

    config = load_config(configfile) if configfile else Config()
    levels = {"lowest_level": lowest_level, "highest_level": highest_level}
    ended = segment_scan(scan, out, config, threads, levels)
    if ended.status != "done":
        typer.secho(f"{scan}: {ended.status} in {ended.stage}: {ended.reason}", fg="red", err=True)
        raise typer.Exit(1)
    typer.echo(f"masks, points, picture and tables are in {out}")
