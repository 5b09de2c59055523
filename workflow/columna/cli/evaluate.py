"""`columna evaluate`: masks of any program against reference masks."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Evaluation")(evaluate)


def evaluate(
    sheet: Annotated[Path, typer.Option(help="Sheet of pairs (docs/evaluation.md).")],
    out: Annotated[Path, typer.Option(help="Folder to write the tables to.")],
    conventions: Annotated[
        Path | None, typer.Option(help="YAML file with conventions of your own.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Compare masks with reference masks: Dice, distances, panoptic quality, levels."""
    from columna.evaluate.conventions import read_conventions
    from columna.evaluate.outputs import print_summary, write_evaluation
    from columna.evaluate.pairs import evaluate_pairs, read_pairs

    own = read_conventions(conventions) if conventions else None
    answers = list(evaluate_pairs(read_pairs(sheet), own, workers))
    write_evaluation(answers, out)
    for answer in answers:
        if answer.reason:
            typer.secho(f"{answer.pair.scan_id}: refused: {answer.reason}", fg="yellow", err=True)
    print_summary(out)
    if all(answer.reason for answer in answers):
        raise typer.Exit(1)
