"""`columna`: the commands and how their errors are shown."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from columna import __version__
from columna.cli import (
    agreement,
    bids,
    cohort,
    compare,
    evaluate,
    export,
    models,
    phantom,
    segment,
    spider,
    stages,
    train,
    workflow,
)
from columna.errors import ColumnaError
from columna.logs import configure_logging

app = typer.Typer(
    name="columna",
    help="Segment sagittal T2w spine MRI, name and measure the vertebrae, deliver Parquet tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
segment.register(app)
workflow.register(app)
bids.register(app)
cohort.register(app)
stages.register(app)
export.register(app)
evaluate.register(app)
agreement.register(app)
compare.register(app)
spider.register(app)
app.add_typer(models.app, name="models")
app.add_typer(phantom.app, name="phantom")
app.add_typer(train.app, name="train")


_HOME_OF_OPTION = re.compile(r"(?s)(--[a-z-]+=)(~.*)")
"""What shells leave as it is: ``--results=~/study``."""


def _with_home(found: re.Match[str]) -> str:
    return found[1] + str(Path(found[2]).expanduser())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"columna {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set up logging for every command."""
    configure_logging()


def run() -> None:
    """Entry point: errors meant for people are one sentence, without a traceback."""
    # Threads of torch that wait in a loop take the core that the others need: twenty times slower
    # where a machine runs more threads than it has cores. Read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.argv[1:] = [_HOME_OF_OPTION.sub(_with_home, argument) for argument in sys.argv[1:]]
    try:
        app()
    except ColumnaError as error:
        typer.secho(f"columna: {error}", fg="red", err=True)
        sys.exit(1)
