"""`columna bids`: the same workflow, called as BIDS Apps are."""

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from columna.cli.workflow import Further, Profiles, start_workflow
from columna.config import Selection
from columna.errors import ConfigError

LISTS = {
    name: name.replace("_", "-")
    for name in (
        *("--participant-label", "--participant_label"),
        *("--session-label", "--session_label", "--filter"),
    )
}
"""Options that take several values, as BIDS Apps write them: ``--participant-label 01 02``."""


class AnalysisLevel(str, Enum):
    """Which part of the work to do."""

    PARTICIPANT = "participant"
    GROUP = "group"


class _ListsCommand(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Typer's context is private
        return super().parse_args(ctx, list(repeated(args)))


def repeated(arguments: Sequence[str]) -> Iterator[str]:
    """Write an option that has several values once before each of them, as Typer reads it."""
    option, values = None, 0
    for place, argument in enumerate(arguments):
        if argument == "--":
            yield from arguments[place:]
            return
        if argument.startswith("-"):
            option, values = LISTS.get(argument), 0
            yield option or argument
        else:
            if option and values:
                yield option
            values += 1
            yield argument


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(cls=_ListsCommand, rich_help_panel="Cohort")(bids)


def bids(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS dataset.")],
    out_dir: Annotated[Path, typer.Argument(help="Results folder.")],
    level: Annotated[
        AnalysisLevel,
        typer.Argument(help="participant: masks and measures; group: the tables of all."),
    ],
    further: Further = None,
    participant_label: Annotated[
        list[str] | None,
        typer.Option("--participant-label", help="Participants, with or without sub-."),
    ] = None,
    session_label: Annotated[
        list[str] | None, typer.Option("--session-label", help="Sessions, with or without ses-.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="Entities of the file name, such as acq=sag or run=1."),
    ] = None,
    bids_filter_file: Annotated[
        Path | None, typer.Option(help="JSON file of filters, as PyBIDS has them; its key is t2w.")
    ] = None,
    n_cpus: Annotated[
        int | None,
        typer.Option("--n-cpus", "--n_cpus", "--nprocs", min=1, help="Cores; default: all."),
    ] = None,
    configfile: Annotated[
        Path | None,
        typer.Option(help="Settings; default: those of an earlier call, else the defaults."),
    ] = None,
    profile: Profiles = None,
    skip_bids_validation: Annotated[
        bool,
        typer.Option(
            "--skip-bids-validation",
            "--skip_bids_validation",
            "--skip-bids-validator",
            "--skip_bids_validator",
            help="Accepted; every file is judged by itself in any case.",
        ),
    ] = False,
) -> None:
    """Run the workflow as a BIDS App does: participants first, in one call or several, then group.

    Calls for different participants into one folder add up; let one end before the next begins.
    """
    from columna.launch import run_config, snakemake_command, start, with_selection

    cores = str(n_cpus) if n_cpus else None
    chosen = Selection(
        participants=_labels(participant_label, "sub-"),
        sessions=_labels(session_label, "ses-"),
        entities=_entities(bids_filter_file, filters or []),
    )
    if level is AnalysisLevel.GROUP:
        if chosen != Selection():
            raise ConfigError("group collects all participants of OUT_DIR; leave out the filters")
        config = run_config(_earlier(out_dir), None, out_dir)
        start(snakemake_command(config.results, profile or [], cores, further or []))
    config = with_selection(run_config(configfile, bids_dir, out_dir), chosen)
    start_workflow(config, profile, cores, ["scans", *(further or [])])


def _earlier(out_dir: Path) -> Path:
    from columna.results.layout import Layout

    kept = Layout(out_dir).config
    if not kept.exists():
        raise ConfigError(f"{out_dir} holds no results yet: run the level `participant` first")
    return kept


def _labels(labels: Sequence[str] | None, prefix: str) -> tuple[str, ...]:
    return tuple(sorted({label.removeprefix(prefix) for label in labels or []}))


def _entities(file: Path | None, filters: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
    """Filters of a file and of the command line, which wins."""
    entities = {key: _values(value, key) for key, value in _read_filters(file).items()}
    given: dict[str, tuple[str, ...]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ConfigError(f"--filter {text}: write it as entity=value, such as acq=sag")
        given[key] = (*given.get(key, ()), value)
    return entities | given


def _read_filters(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not a readable JSON file: {error}") from None
    entries = content.items() if isinstance(content, dict) else ()
    filters: Any = {key.lower(): value for key, value in entries}.get("t2w")
    if not isinstance(filters, dict):
        raise ConfigError(f"{file}: holds no filters under the key t2w")
    return filters


def _values(value: Any, key: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, str | int) for v in values):
        raise ConfigError(
            f"the filter of {key!r} is not a text, a number, a list of these, or null"
        )
    return tuple(map(str, values))
