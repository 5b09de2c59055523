"""`columna evaluate`: masks of any program against reference masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from columna.evaluate.pairs import Evaluated


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
    done: list[bool] = []

    def told() -> "Iterator[Evaluated]":
        for answer in evaluate_pairs(read_pairs(sheet), own, workers):
            done.append(answer.reason is None)
            if answer.reason:
                sentence = f"{answer.pair.scan_id}: refused: {answer.reason}"
                typer.secho(sentence, fg="yellow", err=True)
            yield answer

    write_evaluation(told(), out)
    print_summary(out)
    if not any(done):
        raise typer.Exit(1)
