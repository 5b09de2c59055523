"""`columna run`: the whole workflow over a cohort, from any folder."""

from pathlib import Path
from typing import Annotated

import typer

from columna.config import Config

Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", help="Profile of Snakemake: slurm, or one of yours; repeatable."),
]
Further = Annotated[
    list[str] | None, typer.Argument(help="Further options of Snakemake, after `--`.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Cohort")(run)


def run(
    further: Further = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="Cohort sheet or BIDS folder.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of everything that is written.")
    ] = None,
    configfile: Annotated[
        Path | None,
        typer.Option(
            "--configfile",
            help="Settings; default: config.yaml of the results folder, else the defaults.",
        ),
    ] = None,
    profile: Profiles = None,
    cores: Annotated[
        str | None, typer.Option("--cores", help="Cores to use; default: all, or the profile's.")
    ] = None,
) -> None:
    """Index a cohort and run the whole workflow over it, or resume a run.

    The settings are kept in config.yaml of the results folder: to continue, --results is enough.
    """
    from columna.launch import run_config

    start_workflow(run_config(configfile, cohort, results), profile, cores, further)


def start_workflow(
    config: Config, profiles: list[str] | None, cores: str | None, further: list[str] | None
) -> None:
    """Index the cohort, say where things are, and become Snakemake."""
    from columna.launch import begin, snakemake_command, start
    from columna.results.layout import Layout

    typer.echo(str(begin(config)))
    typer.echo(f"settings: {Layout(config.results).config}", err=True)
    start(snakemake_command(config.results, profiles or [], cores, further or []))
