"""One command per stage: what the workflow's jobs run."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from columna.chain import BESIDE, CHAIN, CORRECTED, EVALUATE
from columna.cli.options import (
    DEFAULT_CONFIG,
    ConfigFile,
    CorrectedMasks,
    CorrectionsFile,
    Results,
    SettingsJson,
    Threads,
    read_config,
)

if TYPE_CHECKING:
    from columna.config import Config

Batch = Annotated[str, typer.Argument(help="Name of the batch, for example b00001.")]


def register(app: typer.Typer) -> None:
    """Add the stage commands to `app`."""
    for stage, facts in CHAIN.items():
        command = label if stage == CORRECTED else _command(stage)
        app.command(stage, help=facts.help, rich_help_panel="Stages")(command)
    app.command(rich_help_panel="Stages")(collect)
    evaluation = BESIDE[EVALUATE].help
    app.command("evaluate-batch", help=evaluation, rich_help_panel="Stages")(evaluate_batch)
    app.command("collect-evaluation", rich_help_panel="Stages")(collect_evaluation)


def _command(stage: str) -> Callable[..., None]:
    def run(
        batch: Batch,
        configfile: ConfigFile = DEFAULT_CONFIG,
        settings: SettingsJson = None,
        results: Results = None,
        threads: Threads = 1,
    ) -> None:
        run_stage(stage, batch, configfile, settings, results, threads)

    return run


def label(
    batch: Batch,
    configfile: ConfigFile = DEFAULT_CONFIG,
    settings: SettingsJson = None,
    results: Results = None,
    corrections: CorrectionsFile = None,
    corrected_masks: CorrectedMasks = None,
    threads: Threads = 1,
) -> None:
    """Name vertebrae and write the final masks of a batch."""
    config = read_config(
        configfile, settings, results, corrections=corrections, corrected_masks=corrected_masks
    )
    _run(CORRECTED, batch, config, threads)


def run_stage(
    name: str,
    batch: str,
    configfile: ConfigFile,
    settings: SettingsJson,
    results: Results,
    threads: int,
) -> None:
    """Run stage `name` over a batch and write its table."""
    _run(name, batch, read_config(configfile, settings, results), threads)


def _run(name: str, batch: str, config: "Config", threads: int) -> None:
    from columna.batch.job import run_job
    from columna.results.layout import Layout
    from columna.stages.by_name import make_stage

    signal.signal(signal.SIGTERM, _terminate)
    run_job(make_stage(name, config, Layout(config.results)), batch, threads)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End in an orderly way when a scheduler asks for it."""
    raise SystemExit(128 + number)


def collect(
    configfile: ConfigFile = DEFAULT_CONFIG,
    settings: SettingsJson = None,
    results: Results = None,
    corrections: CorrectionsFile = None,
) -> None:
    """Validate all rows and write one Parquet file per table, with the data dictionary."""
    from columna.collect.collect import collect_tables
    from columna.config import config_sha256
    from columna.results.layout import Layout
    from columna.review.corrections import decisions_of

    config = read_config(configfile, settings, results, corrections=corrections)
    collect_tables(
        Layout(config.results),
        config_sha256(config),
        config.participant_columns,
        config.assess.verdict_domains,
        decisions_of(config),
    )


def evaluate_batch(
    batch: Batch,
    configfile: ConfigFile = DEFAULT_CONFIG,
    settings: SettingsJson = None,
    results: Results = None,
    threads: Threads = 1,
) -> None:
    """Evaluate a batch and write its table."""
    from columna.batch.job import run_job
    from columna.evaluate.evaluate_stage import EvaluateStage
    from columna.results.layout import Layout

    signal.signal(signal.SIGTERM, _terminate)
    config = read_config(configfile, settings, results)
    run_job(EvaluateStage(config, Layout(config.results)), batch, threads)


def collect_evaluation(
    configfile: ConfigFile = DEFAULT_CONFIG,
    settings: SettingsJson = None,
    results: Results = None,
) -> None:
    """Write the tables of the evaluation of all batches."""
    from columna.collect.collect_evaluation import collect_evaluation as write
    from columna.config import config_sha256
    from columna.results.layout import Layout

    config = read_config(configfile, settings, results)
    write(Layout(config.results), config_sha256(config))
