"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from columna.config import Config, load_config, parse_config

DEFAULT_CONFIG = Path("config/config.yaml")

ConfigFile = Annotated[
    Path, typer.Option("--configfile", help="Configuration (YAML, see config/README.md).")
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
    configfile: Path, settings: str | None, results: Path | None, cohort: Path | None = None
) -> Config:
    """Configuration of a command: `settings` where given, else the file; paths given on top."""
    if settings is None:
        config = load_config(configfile)
    else:
        import json

        config = parse_config(json.loads(settings), "--settings")
    given = {"results": results, "cohort": cohort}
    paths = {key: path for key, path in given.items() if path is not None}
    return parse_config(config.model_dump() | paths, "the command line") if paths else config
