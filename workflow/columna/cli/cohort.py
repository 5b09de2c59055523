"""Commands about a whole cohort: index, status, check, forget, summary, report, path."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import (
    DEFAULT_CONFIG,
    ConfigFile,
    Results,
    SettingsJson,
    Threads,
    read_config,
    read_run,
)


def register(app: typer.Typer) -> None:
    """Add the cohort commands to `app`."""
    for command in (index, status, check, forget, summary, report, path):
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
    from columna.results.layout import Layout

    config = read_config(configfile, None, results, cohort)
    index_folder = Layout(config.results).index
    found = build_index(config.cohort, index_folder, config.batch_size, config.select)
    typer.echo(str(found))


def status(
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
    failures: Annotated[
        bool, typer.Option("--failures", help="List every scan that is not done, with the reason.")
    ] = False,
) -> None:
    """Show how many scans are done, refused, failed, pending and stale in each stage.

    Stale: something that the result depends on has changed since. `snakemake` sees to it.
    """
    from columna.tables.delivered import BESIDE, delivered_names
    from columna.upkeep.status import cohort_status, print_status

    layout, config = read_run(configfile, results)
    print_status(cohort_status(layout, config), failures)
    added = [name for name in delivered_names(layout.tables) if name in BESIDE]
    if added:
        typer.echo(f"Also in {layout.tables}: {', '.join(added)}")
    if config is None:
        typer.echo(f"There is no {configfile}: settings, models and versions were not compared.")


def check(
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
    content: Annotated[
        bool, typer.Option("--content", help="Read all files and compare their SHA-256.")
    ] = False,
) -> None:
    """List outdated results of a run; the next `snakemake` recomputes them.

    By size and time of all files that were read or written, as `snakemake` itself does when it
    plans; with --content by their SHA-256. Exits with 1 if anything differs.
    """
    from columna.upkeep.check import check_run

    layout, config = read_run(configfile, results)
    found = 0
    for name, problem in check_run(layout, config, content):
        typer.echo(f"{name}\t{problem}")
        found += 1
    if found:
        typer.echo("`snakemake` computes these again.", err=True)
        raise typer.Exit(1)
    what = "inputs" if config is None else "inputs, settings and models"
    typer.echo(f"All results are those of the present {what}.")


def forget(
    scans: Annotated[list[str] | None, typer.Argument(help="Names of scans (scan_id).")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All scans that failed.")] = False,
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
) -> None:
    """Drop stored results of scans, so that the next `snakemake` recomputes them."""
    from columna.upkeep.check import failed_scans
    from columna.upkeep.check import forget as drop

    layout, _ = read_run(configfile, results)
    chosen = [*(scans or []), *(failed_scans(layout) if failed else [])]
    drop(layout, chosen)
    typer.echo(f"the next `snakemake` recomputes {len(chosen)} scans")


def summary(configfile: ConfigFile = DEFAULT_CONFIG, results: Results = None) -> None:
    """Print what a finished run delivered."""
    from columna.upkeep.run_summary import summary as tell

    layout, _ = read_run(configfile, results)
    for line in tell(layout):
        typer.echo(line)


def report(
    configfile: ConfigFile = DEFAULT_CONFIG,
    settings: SettingsJson = None,
    results: Results = None,
    threads: Threads = 2,
) -> None:
    """Write pages to look at: the cohort, its scans, and every scan with its picture."""
    from columna.report import write_report
    from columna.results.layout import Layout

    config = read_config(configfile, settings, results)
    start = write_report(Layout(config.results), config, threads)
    typer.echo(f"Report: {start.resolve()}")


def path(
    scan: Annotated[str, typer.Argument(help="Name of the scan (scan_id).")],
    results: Annotated[Path, typer.Option("--results", help="Results folder.")] = Path("results"),
) -> None:
    """Print the path of a scan's file, for other programs."""
    from columna.results.layout import Layout
    from columna.results.manifest import find_scan

    typer.echo(str(find_scan(Layout(results).index, scan).path))
