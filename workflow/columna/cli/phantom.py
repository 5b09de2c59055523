"""`columna phantom`: synthetic scans with known truth."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, Results, read_config

app = typer.Typer(help="Write synthetic scans with known truth.", no_args_is_help=True)


@app.command()
def make(
    out: Annotated[Path, typer.Option(help="Folder for the image and its truth.")],
    name: Annotated[str, typer.Option(help="Beginning of the file names.")] = "sub-phantom",
    seed: Annotated[int, typer.Option(help="All random draws follow from it.")] = 0,
    region: Annotated[str, typer.Option(help="whole, lumbar, thoracic, cervicothoracic")] = "whole",
    spacing: Annotated[
        tuple[float, float, float], typer.Option(help="Voxel size in mm along P, I, R.")
    ] = (0.857, 0.857, 3.3),
    orientation: Annotated[str, typer.Option(help="Where the axes run to, such as PIR.")] = "PIR",
    obliquity: Annotated[float, typer.Option(help="Tilt of the slices in degrees.")] = 0.0,
    settings: Annotated[
        str, typer.Option(help="Any other setting as JSON, such as '{\"thoracic\": 13}'.")
    ] = "{}",
) -> None:
    """Write one phantom: image, both truth masks, and its numbers."""
    import json

    from pydantic import ValidationError

    from columna.phantom import PhantomSettings, make_phantom, write_phantom

    chosen = {
        "seed": seed,
        "region": region,
        "spacing_mm": spacing,
        "orientation": tuple(orientation),
        "obliquity_deg": obliquity,
    }
    try:
        wanted = PhantomSettings.model_validate(chosen | json.loads(settings))
    except (ValidationError, json.JSONDecodeError) as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(write_phantom(make_phantom(wanted), out, name))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for scans and cohort sheet.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of NIfTI files of your own that join the cohort.")
    ] = None,
) -> None:
    """Write the demo cohort: phantoms, and files that must be refused."""
    from columna.phantom.demo import write_demo_cohort

    typer.echo(write_demo_cohort(out, data))


@app.command()
def score(configfile: ConfigFile = DEFAULT_CONFIG, results: Results = None) -> None:
    """Compare the delivered masks of a cohort's phantoms with their truth (Dice)."""
    from rich.console import Console
    from rich.table import Table

    from columna.evaluate.phantom_score import score_cohort
    from columna.results.layout import Layout

    config = read_config(configfile, None, results)
    heads = ("phantom", "structures", "bodies", "vertebrae", "found", "level right")
    table = Table(*heads, title="Dice against the truth of the phantoms")
    for s in score_cohort(config.cohort, Layout(config.results)):
        means = (f"{v:.3f}" for v in (s.structures, s.body, s.vertebrae))
        counts = (f"{n}/{s.vertebrae_true_n}" for n in (s.vertebrae_found_n, s.levels_right_n))
        table.add_row(s.scan_id, *means, *counts)
    Console().print(table)
