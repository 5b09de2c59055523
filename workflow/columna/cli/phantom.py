"""`columna phantom`: synthetic scans with known truth."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, Results, read_config

app = typer.Typer(help="Write synthetic scans with known truth.", no_args_is_help=True)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for scans and cohort sheet.")]) -> None:
    """Write the demo cohort: phantoms, real scans, and files that must be refused."""
    from columna.phantom.cohort import write_demo_cohort

    typer.echo(write_demo_cohort(out))


@app.command()
def score(configfile: ConfigFile = DEFAULT_CONFIG, results: Results = None) -> None:
    """Print how close the delivered masks of a cohort's phantoms come to their truth (Dice)."""
    from rich.console import Console
    from rich.table import Table

    from columna.layout import Layout
    from columna.phantom.score import score_cohort

    config = read_config(configfile, None, results)
    heads = ("phantom", "structures", "bodies", "vertebrae", "found", "level right")
    table = Table(*heads, title="Dice against the truth of the phantoms")
    for s in score_cohort(config.cohort, Layout(config.results)):
        means = (f"{v:.3f}" for v in (s.structures, s.body, s.vertebrae))
        counts = (f"{n}/{s.vertebrae_true_n}" for n in (s.vertebrae_found_n, s.levels_right_n))
        table.add_row(s.scan_id, *means, *counts)
    Console().print(table)
