"""`columna agreement`: how wrong each measure is, or how well it repeats."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Evaluation")(agreement)


def agreement(
    tables: Annotated[
        Path, typer.Argument(help="Folder of tables, as results/tables: the predictions.")
    ],
    reference: Annotated[
        Path, typer.Argument(help="Folder of tables: reference masks, or the same for retests.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write table and figures to.")],
    retests: Annotated[
        Path | None, typer.Option(help="Sheet with scan_id and retest_scan_id.")
    ] = None,
    figure: Annotated[
        list[str] | None, typer.Option(help="Column to draw, as vertebrae.height_anterior_mm.")
    ] = None,
) -> None:
    """Bias, limits of agreement and ICC of every numeric column of the tables of measures."""
    from columna.evaluate.measure_error import draw, measure_errors, read_retests
    from columna.evaluate.outputs import write_agreement

    pairs = read_retests(retests) if retests else None
    typer.echo(write_agreement(measure_errors(tables, reference, pairs), out))
    for path in draw(tables, reference, figure or [], out, pairs):
        typer.echo(path)
