"""`columna phantom`: synthetic scans with known truth."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write synthetic scans with known truth.", no_args_is_help=True)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for scans and cohort sheet.")]) -> None:
    """Write the demo cohort: phantoms, real scans, and files that must be refused."""
    from columna.phantom.cohort import write_demo_cohort

    typer.echo(write_demo_cohort(out))
