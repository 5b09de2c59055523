"""`columna`: the commands and how their errors are shown."""

import io
import os
import re
import sys
import traceback
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
    review,
    segment,
    spider,
    stages,
    train,
    twins,
    workflow,
)
from columna.logs import configure_logging
from columna.sentences import PREFIX, sentence_of

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
review.register(app)
stages.register(app)
export.register(app)
evaluate.register(app)
agreement.register(app)
compare.register(app)
twins.register(app)
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
    """Entry point: errors meant for users are one message, without a traceback."""
    _speak_any_locale()
    # Threads of torch that wait in a loop take the core that the others need: twenty times slower
    # where a machine runs more threads than it has cores. Read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.argv[1:] = [_HOME_OF_OPTION.sub(_with_home, argument) for argument in sys.argv[1:]]
    try:
        app()
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            traceback.print_exc()
            told = f"unexpected {type(error).__name__}, a defect: please report it with the above"
        typer.secho(f"{PREFIX}{told}", fg="red", err=True)
        sys.exit(1)


def _speak_any_locale() -> None:
    """Read and write UTF-8 whatever the locale; what the terminal cannot show is escaped.

    Python decides how names of files are encoded when it starts, so it is started again.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
