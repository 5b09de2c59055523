"""Commands about a whole cohort: index, status, summary."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, Results, read_config


def register(app: typer.Typer) -> None:
    """Add the cohort commands to `app`."""
    for command in (index, status, summary):
        app.command(rich_help_panel="Cohort")(command)


def index(
    configfile: ConfigFile = DEFAULT_CONFIG,
    cohort: Annotated[
        Path | None, typer.Option(help="Cohort sheet or BIDS folder; default: the configuration's.")
    ] = None,
    results: Results = None,
) -> None:
    """List the scans of a cohort and assign them to batches.

    Run it before `snakemake`, and again after the cohort has changed: finished batches stay as
    they are.
    """
    from columna.cohort.index import build_index
    from columna.layout import Layout

    config = read_config(configfile, None, results, cohort)
    found = build_index(config.cohort, Layout(config.results).index, config.batch_size)
    typer.echo(str(found))


def status(
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
    failures: Annotated[
        bool, typer.Option("--failures", help="List every scan that is not done, with the reason.")
    ] = False,
) -> None:
    """Tell how many scans are done, refused, failed and pending in each stage."""
    from columna.layout import Layout
    from columna.status import cohort_status, print_status

    config = read_config(configfile, None, results)
    print_status(cohort_status(Layout(config.results)), failures)


def summary(configfile: ConfigFile = DEFAULT_CONFIG, results: Results = None) -> None:
    """Print what a finished run delivered."""
    from columna.layout import Layout
    from columna.summary import print_summary

    config = read_config(configfile, None, results)
    print_summary(Layout(config.results))
