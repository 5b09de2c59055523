"""Starting the workflow from any folder: with the rules, profiles and defaults of the package."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import yaml

from columna import __version__
from columna.cohort.index import IndexSummary, build_index
from columna.config import Config, Selection, load_config, parse_config
from columna.errors import ColumnaError, ConfigError
from columna.files import write_text
from columna.results.layout import Layout
from columna.results.lock import hold_results

PIPELINE = Path(__file__).parent / "pipeline"
"""The packaged parts of the repository: ``workflow``, ``profiles``, ``envs`` and ``config``."""

HEAD = """\
# The settings of this results folder, written by `columna run`, which reads them again unless
# --configfile names others. The keys are explained in config/README.md.
"""


def run_config(configfile: Path | None, cohort: Path | None, results: Path | None) -> Config:
    """Configuration of a run, with absolute paths.

    Parameters
    ----------
    configfile
        Settings to take; None: those of an earlier run into `results`, else the defaults.
    cohort, results
        Sheet or BIDS folder, and results folder, where they are not those of the settings.

    Raises
    ------
    ConfigError
        If the settings are not valid, or cohort or results are named nowhere.
    """
    given = {"cohort": cohort, "results": results}
    paths = {key: str(path) for key, path in given.items() if path is not None}
    if configfile is None and results is not None:
        earlier = Layout(parse_config(paths, "the command line").results).config
        configfile = earlier if earlier.exists() else None
    content = load_config(configfile).model_dump() if configfile else {}
    missing = {"cohort", "results"} - (content | paths).keys()
    if missing:
        options = " and ".join(f"--{key}" for key in sorted(missing))
        raise ConfigError(f"name the cohort and the results folder: {options} or --configfile")
    return _with_absolute_paths(parse_config(content | paths, "the command line"))


def _with_absolute_paths(config: Config) -> Config:
    """The same configuration for another working folder."""
    keys = ("cohort", "results", "training", "corrections", "corrected_masks")
    named = {key: getattr(config, key) for key in keys}
    paths = {key: _absolute(path) for key, path in named.items() if path is not None}
    models = config.models.model_dump()
    for role in ("semantic", "instance"):
        is_path = "/" in models[role] or models[role] in (".", "..")
        models[role] = str(_absolute(Path(models[role]))) if is_path else models[role]
    return parse_config(config.model_dump() | paths | {"models": models}, "the command line")


def _absolute(path: Path) -> Path:
    """The one name of `path`: Snakemake takes files of another name for other files."""
    return path.resolve() if ".." in path.parts else path.absolute()


def with_selection(config: Config, chosen: Selection) -> Config:
    """Configuration that takes the scans of `chosen`, beside those of earlier calls.

    Raises
    ------
    ConfigError
        If the results folder belongs to another cohort, or the settings hold a selection of
        their own.
    """
    kept = Layout(config.results).config
    earlier = load_config(kept) if kept.exists() else None
    if earlier is not None and earlier.cohort != config.cohort:
        raise ConfigError(
            f"{config.results} holds results of {earlier.cohort}, not of {config.cohort}: give "
            "each dataset a folder of its own"
        )
    before = earlier.select if earlier is not None else ()
    if config.select not in ((), before):
        raise ConfigError("the settings have `select`; name participants in one place only")
    takes_all = chosen == Selection() or (earlier is not None and not before)
    select = () if takes_all else (*(s for s in before if s != chosen), chosen)
    return config.model_copy(update={"select": select})


def begin(config: Config) -> IndexSummary:
    """Index the cohort, then keep the configuration in the results folder.

    Raises
    ------
    BusyError
        If another run is at work there.
    CohortError
        If the cohort cannot be used; the kept configuration is then as it was.
    """
    layout = Layout(config.results)
    hold_results(layout.root).close()
    found = build_index(config.cohort, layout.index, config.batch_size, config.select)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(layout.config, HEAD + text)
    return found


def snakemake_command(
    results: Path, profiles: Sequence[str], cores: str | None, further: Sequence[str]
) -> list[str]:
    """Command that runs the packaged workflow.

    Parameters
    ----------
    results
        Results folder with its configuration; Snakemake works there, so that its own records lie
        beside the results whatever folder the run is started from.
    profiles
        Names of packaged profiles (``slurm``), or what else ``snakemake --profile`` takes.
    cores
        ``--cores``; None: all, unless a profile is given, which may say so.
    further
        Further options and targets of Snakemake.
    """
    options = ["--configfile", str(Layout(results).config), "--directory", str(results)]
    for profile in profiles:
        packaged = PIPELINE / "profiles" / profile
        options += ["--profile", str(packaged if packaged.is_dir() else profile)]
    if cores or not profiles:
        options += ["--cores", cores or "all"]
    options += ["--workflow-profile", str(PIPELINE / "profiles" / "default")]
    options += ["--snakefile", str(PIPELINE / "workflow" / "Snakefile")]
    # -P: nothing in the present folder stands in for a module
    return [sys.executable, "-P", "-m", "snakemake", *options, *further]


def job_environment(environment: Mapping[str, str], program: str) -> dict[str, str]:
    """Environment of the run, in which its jobs find this ``columna``, however it was called."""
    here = Path(program).absolute()
    own = [str(here.parent)] if here.name == "columna" else []
    path = [*own, str(Path(sys.executable).parent), environment.get("PATH", "")]
    # what a conda environment of the jobs installs (envs/columna.post-deploy.sh)
    clone = PIPELINE.joinpath("workflow", "Snakefile").resolve().parents[1]
    source = str(clone) if (clone / "pyproject.toml").exists() else f"columna=={__version__}"
    found = os.pathsep.join(filter(None, path))
    return {"COLUMNA_SOURCE": source, **environment, "PATH": found}


def start(command: Sequence[str]) -> NoReturn:
    """Become the command: its exit code is ours, and signals reach it.

    Raises
    ------
    ColumnaError
        If Snakemake is not installed.
    """
    if find_spec("snakemake") is None:
        raise ColumnaError(
            "Snakemake is not installed in this environment; install columna with its "
            "dependencies (docs/install.md)"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), job_environment(os.environ, sys.argv[0]))  # noqa: S606
