"""`columna train`: networks of one's own, and how good they are."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from columna.config import Config
    from columna.evaluate.model_pair import Judge, Scored
    from columna.train.recipe import TrainConfig


class PhaseName(StrEnum):
    """The networks that can be trained."""

    SEMANTIC = "semantic"
    INSTANCE = "instance"


app = typer.Typer(help="Train networks on synthetic scans and your own.", no_args_is_help=True)

RecipeFile = Annotated[
    Path, typer.Option("--configfile", help="Recipe (YAML, see docs/training.md).")
]
RecipeJson = Annotated[
    str | None, typer.Option("--settings", help="Recipe as JSON, as the workflow passes it on.")
]
Phase = Annotated[PhaseName, typer.Argument(help="The network.")]
DEFAULT_RECIPE = Path("config/train.yaml")
WIDTH = 120


@app.command()
def convert(
    out: Annotated[Path, typer.Option(help="nnU-Net raw folder to write the dataset into.")],
    configfile: RecipeFile = DEFAULT_RECIPE,
    settings: RecipeJson = None,
) -> None:
    """Convert the recipe's scans and masks to an nnU-Net raw dataset."""
    from columna.train.labels import CLASSES
    from columna.train.samples.dataset import convert as convert_dataset

    recipe = _recipe(configfile, settings)
    folder = out / recipe.nnunet.dataset
    classes = CLASSES[recipe.semantic.classes]
    cases = convert_dataset(recipe.datasets, folder, recipe.folds, recipe.prepare, classes)
    used = sum(case.status == "ok" for case in cases)
    typer.echo(f"{folder}: {used} of {len(cases)} scans")


@app.command()
def fuse(
    sheet: Annotated[
        Path, typer.Argument(help="Sheet: participant_id, path, and one column per source.")
    ],
    rules: Annotated[Path, typer.Option(help="Table (TSV): source, label, structure, priority.")],
    out: Annotated[Path, typer.Option(help="Folder for masks, cases.tsv and training.tsv.")],
    agreement: Annotated[
        float,
        typer.Option(min=0, max=1, help="Least Dice of two sources that draw one structure."),
    ] = 0.7,
) -> None:
    """Make one reference mask per scan from label maps of several sources."""
    from columna.config import PrepareSettings
    from columna.train.samples.fuse import fuse as fuse_sheet
    from columna.train.samples.fuse import read_rules

    scans = fuse_sheet(sheet, read_rules(rules), out, PrepareSettings(), agreement)
    used = sum(scan.status == "ok" for scan in scans)
    typer.echo(f"{out}: {used} of {len(scans)} scans; reasons of the others: cases.tsv")


@app.command()
def pool(
    folder: Annotated[Path, typer.Argument(help="Pool of label maps to fill.")],
    maps: Annotated[int, typer.Option(min=0, help="Phantoms that it shall hold.")] = 300,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Real map that is not made (docs/training-data.md).")
    ] = None,
) -> None:
    """Make the label maps that synthetic samples come from."""
    from columna.real_data import data_folder
    from columna.train.samples.pool import fill
    from columna.train.samples.real_maps import REAL_MAPS

    unknown = sorted(set(exclude or ()) - set(REAL_MAPS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: none of {', '.join(REAL_MAPS)}")
    fill(folder, maps, data=data_folder(), exclude=tuple(exclude or ()))


@app.command()
def network(
    phase: Phase,
    out: Annotated[Path, typer.Option(help="Folder for state, curves, looks and model.")],
    dataset: Annotated[
        Path | None, typer.Option(help="Converted dataset, where the recipe names any.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Pool of label maps (`columna train pool`).")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Wall time at most. The learning rate falls over it, so that the training cannot "
            "be repeated exactly.",
        ),
    ] = None,
    configfile: RecipeFile = DEFAULT_RECIPE,
    settings: RecipeJson = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores of the network.")] = 2,
) -> None:
    """Train one network with columna's own loop, or resume its training."""
    import torch

    from columna.train.sources import Inputs
    from columna.train.train_one import train_phase

    torch.set_num_threads(threads)
    recipe, inputs = _recipe(configfile, settings), Inputs(dataset, maps)
    typer.echo(train_phase(phase.value, recipe, out, inputs, minutes))


@app.command()
def look(
    phase: Phase,
    state: Annotated[Path, typer.Argument(help="What the training resumes from: its state.pt.")],
    sheet: Annotated[
        Path, typer.Option(help="Scans: participant_id, path and, for Dice, semantic.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and model/.")],
    threads: Annotated[int, typer.Option(min=1, help="Cores of the network.")] = 1,
    classes: Annotated[str, typer.Option(help="semantic.classes of the recipe.")] = "structures",
) -> None:
    """Segment real scans with the weights of a training that is still going on."""
    import torch

    from columna.train.look import take_look

    torch.set_num_threads(threads)
    step, points = take_look(phase.value, state, sheet, out, classes)
    for _, measure, value in points:
        typer.echo(f"step {step}  {measure}  {value:.3f}")


@app.command()
def nnunet(
    fold: Annotated[int, typer.Argument(min=0, help="The fold that is held out.")],
    configfile: RecipeFile = DEFAULT_RECIPE,
    settings: RecipeJson = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores, where it trains on the CPU.")] = 2,
) -> None:
    """Have nnU-Net train one fold, or continue to, in the folders that its variables name."""
    from columna.train.networks.nnunet_fold import train_fold

    train_fold(_recipe(configfile, settings).nnunet, fold, threads)


@app.command()
def splits(
    dataset: Annotated[Path, typer.Argument(help="Converted dataset.")],
    preprocessed: Annotated[Path, typer.Argument(help="nnU-Net's preprocessed dataset.")],
    configfile: RecipeFile = DEFAULT_RECIPE,
    settings: RecipeJson = None,
) -> None:
    """Tell nnU-Net the folds: all scans of a participant lie in one."""
    from columna.train.networks.nnunet import write_splits

    write_splits(dataset, preprocessed, _recipe(configfile, settings).folds)


@app.command()
def export(
    trained: Annotated[Path, typer.Argument(help="nnU-Net's folder of a trained model.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
) -> None:
    """Make a model folder that columna and SPINEPS load from what nnU-Net has trained."""
    from columna.train.networks.nnunet import export_trained

    export_trained(trained, out)
    typer.echo(out)


@app.command()
def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures.")],
    semantic: Annotated[str, typer.Option(help="Phase-1 model.")] = "bundled_semantic",
    instance: Annotated[str, typer.Option(help="Phase-2 model.")] = "bundled_instance",
    one_phase: Annotated[
        str | None, typer.Option(help="Model of one phase instead (docs/baseline.md).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real scans; default: COLUMNA_DATA, if it is set.")
    ] = None,
    per_view: Annotated[int, typer.Option(min=1, help="Phantoms of every field of view.")] = 2,
    n4: Annotated[bool, typer.Option(help="Correct the bias field.")] = True,
    threads: Annotated[int, typer.Option(min=1, help="Cores to use.")] = 2,
) -> None:
    """Evaluate a pair of models, or one of one phase, on held-out phantoms and on real scans."""
    import torch

    from columna.config import Config, PrepareSettings
    from columna.evaluate.model_pair import score_phantoms, score_real, write_tables
    from columna.real_data import data_folder

    torch.set_num_threads(threads)
    config = Config(prepare=PrepareSettings(n4=n4))
    judge = _judge(semantic, instance, one_phase, config, out)
    scores = [*score_phantoms(judge, per_view), *score_real(judge, data or data_folder())]
    write_tables(scores, out)
    _print(scores)


def _judge(
    semantic: str, instance: str, one_phase: str | None, config: "Config", out: Path
) -> "Judge":
    from functools import partial

    from columna.evaluate.in_memory import segment
    from columna.evaluate.model_pair import Judge
    from columna.evaluate.one_phase import CONVENTION, check_one_phase, segment_one_phase
    from columna.models.instance_network import load_instance_model
    from columna.models.registry import find_model
    from columna.models.semantic_network import load_semantic_model

    if one_phase is not None:
        model = check_one_phase(load_semantic_model(find_model(one_phase)))
        return Judge(
            partial(segment_one_phase, model=model, settings=config.prepare), out, CONVENTION
        )
    phase_1 = load_semantic_model(find_model(semantic))
    phase_2 = load_instance_model(find_model(instance))
    return Judge(partial(segment, semantic=phase_1, instance=phase_2, config=config), out)


@app.command()
def quality(
    out: Annotated[Path, typer.Option(help="Model file to write (JSON).")],
    cache: Annotated[
        Path, typer.Option(help="Folder that keeps phantoms and what the networks answered.")
    ],
    semantic: Annotated[str, typer.Option(help="Phase-1 model.")] = "bundled_semantic",
    instance: Annotated[str, typer.Option(help="Phase-2 model.")] = "bundled_instance",
    data: Annotated[
        Path | None, typer.Option(help="Folder of real scans; default: COLUMNA_DATA, if it is set.")
    ] = None,
    per_view: Annotated[
        int | None,
        typer.Option(min=1, help="Phantoms of every field of view; default: 40 in all."),
    ] = None,
    known: Annotated[
        bool, typer.Option(help="Only scans whose answers are in the folder already.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    page: Annotated[Path | None, typer.Option(help="Markdown file for the figures.")] = None,
) -> None:
    """Calibrate predicted quality for a pair of models, on phantoms and on real patients."""
    from columna.evaluate.known_scans import KeptAnswers
    from columna.evaluate.model_pair import VIEWS
    from columna.real_data import data_folder
    from columna.train.quality.calibrate import calibrate, figures_page
    from columna.train.quality.figures import figures_table
    from columna.train.quality.known_structures import PHANTOMS

    networks = KeptAnswers(semantic, instance, cache)
    phantoms = PHANTOMS if per_view is None else dict.fromkeys(VIEWS, per_view)
    found = calibrate(
        networks,
        data or data_folder(),
        out,
        phantoms=phantoms,
        workers=workers,
        only_known=known,
    )
    typer.echo("\n".join(figures_table(found)))
    if page is not None:
        from columna.files import write_text

        write_text(page, figures_page(found, networks, "columna train quality"))


def _recipe(configfile: Path, settings: str | None) -> "TrainConfig":
    from columna.train.recipe import load_train_config, parse_train_config

    if settings is None:
        return load_train_config(configfile)
    import json

    return parse_train_config(json.loads(settings), "--settings")


def _print(scores: "Sequence[Scored]") -> None:
    from rich.console import Console

    from columna.evaluate.model_pair import errors_of_measures
    from columna.evaluate.most_used import print_errors
    from columna.evaluate.report import tables

    console = Console(width=WIDTH)
    for table in tables(scores):
        console.print(table)
    for is_real, title in (
        (False, "Error of the ten most used measures: phantoms, against true masks on their grid"),
        (True, "The same on real scans, where the reference draws discs and canal"),
    ):
        if rows := errors_of_measures(scores, is_real=is_real):
            print_errors(rows, title)
