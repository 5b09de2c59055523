"""`columna models`: list, fetch and verify model folders."""

from typing import Annotated

import typer

app = typer.Typer(help="List, fetch and verify models.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show all known models, and which of them are installed."""
    from rich.console import Console
    from rich.table import Table

    from columna.models.registry import list_models

    table = Table("id", "role", "here", "licence", "description")
    for model in list_models():
        here = "yes" if model.path else "no"
        table.add_row(model.id, model.role, here, model.licence, model.description)
    Console().print(table)


@app.command()
def fetch(model: Annotated[str, typer.Argument(help="Id of resources/models.tsv.")]) -> None:
    """Download a model, check its SHA-256 and unpack it."""
    from columna.models.fetch import fetch_model

    typer.echo(f"{model}: {fetch_model(model)}")


@app.command()
def verify(model: Annotated[str, typer.Argument(help="Id, or path of a model folder.")]) -> None:
    """Compare a model folder with its recorded SHA-256."""
    from columna.models.registry import verify_model

    typer.echo(verify_model(model))
