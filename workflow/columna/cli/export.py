"""`columna export`: the tables for programs that do not read Parquet."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, Results, read_run


class Format(str, Enum):
    """What to write."""

    CSV = "csv"
    STATA = "stata"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Cohort")(export)


def export(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    kind: Annotated[
        Format, typer.Option("--format", help="csv: .csv.gz with datapackage.json; stata: .dta.")
    ] = Format.CSV,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", help="Table to export; default: all that are there."),
    ] = None,
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
) -> None:
    """Export the tables of a finished run to CSV or Stata."""
    from columna.collect.export import export_csv, export_stata
    from columna.tables.delivered import delivered_names

    layout, _ = read_run(configfile, results)
    write = {Format.CSV: export_csv, Format.STATA: export_stata}[kind]
    for path in write(layout.tables, out, table or delivered_names(layout.tables)):
        typer.echo(path)
