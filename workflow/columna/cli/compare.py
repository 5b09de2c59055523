"""`columna compare`: programs, runs or models against each other, on the same references."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Evaluation")(compare)


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that `columna evaluate` wrote, two or more.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write table and figures to.")],
    name: Annotated[
        list[str] | None, typer.Option(help="Name of each, in order; default: its folder's name.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Column of --sheet (sex, scanner) to compare within.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Sheet of pairs or cohort sheet that has that column.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, help="Margin of non-inferiority, in Dice.")
    ] = None,
) -> None:
    """Compare evaluations of the same scans: paired tests, effect sizes, a paper's table."""
    from columna.errors import ColumnaError
    from columna.evaluate.compare import compare as compared
    from columna.evaluate.compare import read_evaluation, read_groups
    from columna.evaluate.outputs import write_comparison

    names = name or [folder.name for folder in folders]
    if len(folders) < 2 or len(set(names)) != len(folders):
        raise ColumnaError(
            "compare needs two or more folders, each with a name of its own; give one --name per "
            f"folder (folders: {len(folders)}, names: {', '.join(names)})"
        )
    if (by is None) != (sheet is None):
        raise ColumnaError("--by and --sheet go together: the column, and the sheet that has it")
    evaluations = [
        read_evaluation(folder, called) for folder, called in zip(folders, names, strict=True)
    ]
    groups = read_groups(sheet, by) if sheet and by else None
    rows = list(compared(evaluations, groups=groups, margin=margin))
    for path in write_comparison(evaluations, rows, out):
        typer.echo(path)
