"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from columna.config import Config, load_config, parse_config
from columna.errors import ColumnaError, ConfigError
from columna.results.layout import Layout

DEFAULT_CONFIG: Path | None = None
USUAL_CONFIG = Path("config/config.yaml")

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
CorrectionsFile = Annotated[
    Path | None, typer.Option("--corrections", help="File of decisions; default: as configured.")
]
CorrectedMasks = Annotated[
    Path | None,
    typer.Option("--corrected-masks", help="Folder of edited masks; default: as configured."),
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Cores to use.")]


def read_run(configfile: Path | None, results: Path | None) -> tuple[Layout, Config | None]:
    """The results folder that a command looks into, and the settings of its run.

    Returns
    -------
    Layout
        A folder that is there.
    Config or None
        None where there is no configuration at the usual place: the results folder is enough.

    Raises
    ------
    ConfigError
        If a file given by --configfile is missing, or a configuration is wrong.
    ColumnaError
        If there is no such results folder.
    """
    if configfile is None and not (_kept_config(results) or USUAL_CONFIG).exists():
        given = {} if results is None else {"results": results}
        config, root = None, parse_config(given, "the command line").results
    else:
        config = read_config(configfile, None, results)
        root = config.results
    if not root.is_dir():
        raise ColumnaError(
            f"{root}: no such folder; name the results folder of a run with --results"
        )
    return Layout(root), config


def read_config(
    configfile: Path | None,
    settings: str | None,
    results: Path | None,
    cohort: Path | None = None,
    corrections: Path | None = None,
    corrected_masks: Path | None = None,
) -> Config:
    """Configuration of a command: `settings` where given, else the file; paths given on top."""
    if settings is None:
        config = load_config(configfile or _kept_config(results) or USUAL_CONFIG)
    else:
        import json

        try:
            content = json.loads(settings)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--settings: not valid JSON: {error}") from error
        config = parse_config(content, "--settings")
    given = {
        "results": results,
        "cohort": cohort,
        "corrections": corrections,
        "corrected_masks": corrected_masks,
    }
    paths = {key: path for key, path in given.items() if path is not None}
    return parse_config(config.model_dump() | paths, "the command line") if paths else config


def _kept_config(results: Path | None) -> Path | None:
    """The configuration that `columna run` has left in a results folder."""
    if results is None:
        return None
    from columna.results.layout import Layout

    kept = Layout(parse_config({"results": results}, "the command line").results).config
    return kept if kept.exists() else None
