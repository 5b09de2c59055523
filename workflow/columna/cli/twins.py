"""`columna twins`: the expected error of every measure on the grids of a cohort."""

from pathlib import Path
from typing import Annotated

import typer

from columna.cli.options import DEFAULT_CONFIG, ConfigFile, Results, Threads, read_config


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Evaluation")(twins)


def twins(
    n: Annotated[int, typer.Option("--n", min=1, help="Synthetic twins.")] = 50,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files of the twins; default: twins, in the results."),
    ] = None,
    configfile: ConfigFile = DEFAULT_CONFIG,
    results: Results = None,
    threads: Threads = 1,
) -> None:
    """Segment and measure phantoms on the cohort's grids, and write measurement_error.parquet."""
    import torch

    from columna.collect.dictionary import sidecar
    from columna.evaluate.most_used import print_measurement_error
    from columna.evaluate.outputs import write_measurement_error
    from columna.evaluate.twin_error import measurement_errors
    from columna.evaluate.twin_plan import plan_twins, seen_scans
    from columna.evaluate.twins import run_twins
    from columna.files import write_json
    from columna.models.instance_network import load_instance_model
    from columna.models.registry import find_model
    from columna.models.semantic_network import load_semantic_model
    from columna.results.layout import Layout
    from columna.tables.measurement_error import MEASUREMENT_ERROR

    config = read_config(configfile, None, results)
    layout = Layout(config.results)
    plans = plan_twins(seen_scans(layout.tables), n)
    torch.set_num_threads(threads)
    models, device = config.models, config.models.device
    semantic = load_semantic_model(find_model(models.semantic), device, config.semantic.compute)
    instance = load_instance_model(find_model(models.instance), device, config.instance.compute)
    made = list(run_twins(plans, semantic, instance, config, out or layout.root / "twins"))
    path = write_measurement_error(measurement_errors(made, layout.tables), layout.tables)
    write_json(path.with_suffix(".json"), sidecar(MEASUREMENT_ERROR))
    print_measurement_error(path)
    done = [twin for twin in made if twin["status"] == "done"]
    wrong = sum(twin["wrong_n"] for twin in done)
    right = sum(len(twin["right"]) for twin in done)
    typer.echo(
        f"{len(done)} of {len(made)} twins were measured; {wrong} of {wrong + right} vertebrae "
        "that were found and named carry a wrong name and are left out"
    )
    typer.echo(path)
