"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from columna.config import Config, load_config, parse_config

DEFAULT_CONFIG: Path | None = None

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--configfile",
        help="Configuration (YAML, see config/README.md); default: config.yaml of the results "
        "folder that --results names, else config/config.yaml.",
    ),
]
SettingsJson = Annotated[
    str | None,
    typer.Option("--settings", help="Configuration as JSON, as the workflow passes it on."),
]
Results = Annotated[
    Path | None, typer.Option("--results", help="Results folder; default: the configuration's.")
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Cores to use.")]


def read_config(
    configfile: Path | None, settings: str | None, results: Path | None, cohort: Path | None = None
) -> Config:
    """Configuration of a command: `settings` where given, else the file; paths given on top."""
    if settings is None:
        config = load_config(configfile or _kept_config(results) or Path("config/config.yaml"))
    else:
        import json

        config = parse_config(json.loads(settings), "--settings")
    given = {"results": results, "cohort": cohort}
    paths = {key: path for key, path in given.items() if path is not None}
    return parse_config(config.model_dump() | paths, "the command line") if paths else config


def _kept_config(results: Path | None) -> Path | None:
    """The configuration that `columna run` has left in a results folder."""
    if results is None:
        return None
    from columna.results.layout import Layout

    kept = Layout(parse_config({"results": results}, "the command line").results).config
    return kept if kept.exists() else None
