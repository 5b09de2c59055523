"""`columna review`: rate results and put them right in a browser."""

import os
from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, read_run
from columna.errors import ColumnaError

USUAL_FILE = Path("config/corrections.tsv")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Cohort")(review)


def review(
    results: Annotated[
        Path | None, typer.Argument(help="Results folder of a run; default: the configuration's.")
    ] = None,
    configfile: ConfigFile = DEFAULT_CONFIG,
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="File of decisions; default: the configuration's, else config/corrections.tsv."
        ),
    ] = None,
    rater: Annotated[
        str | None, typer.Option(help="Who rates: a short handle; default: your login name.")
    ] = None,
    host: Annotated[str, typer.Option(help="A name or address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    sample: Annotated[
        int | None, typer.Option(min=1, help="So many scans at random, instead of all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which random scans: the same for all raters.")] = 0,
    blinded: Annotated[
        bool, typer.Option("--blinded", help="Hide what other raters have decided.")
    ] = False,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Print how far raters agree, and serve nothing.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the address in a browser.")
    ] = True,
) -> None:
    """Look at scans in a browser, rate them and put their levels right.

    Each decision is at once in the file of decisions, which the workflow takes corrections from.
    Stop it with Ctrl-C.
    """
    layout, config = read_run(configfile, results)
    file = corrections or (config and config.corrections) or USUAL_FILE
    if agreement:
        _print_agreement(file)
        return
    from columna.config import Config
    from columna.viewer.make_review import make_review
    from columna.viewer.server import serve

    found = make_review(layout, file, rater, blinded, None if sample is None else (sample, seed))

    def announce(address: str) -> None:
        typer.echo(f"Decisions: {file.absolute()}")
        if config is None or config.corrections is None:
            typer.echo(
                f"To have snakemake take them, write `corrections: {file}` into config.yaml."
            )
        typer.echo(f"Review, until Ctrl-C: {address}")
        if browser and "SSH_CONNECTION" not in os.environ:
            typer.launch(address)

    serve(found, (config or Config()).prepare, host, port, announce)


def _print_agreement(file: Path) -> None:
    from columna.review.decisions import read_decisions
    from columna.viewer.kappa import agreement_lines, agreements

    if not file.exists():
        raise ColumnaError(f"{file}: no such file; name the file of decisions with --corrections")
    for line in agreement_lines(agreements(read_decisions(file))):
        typer.echo(line)
