"""The recipe and the folders of training, for the rules; nothing is read before it is needed."""

from functools import cache
from os.path import dirname, join
from pathlib import Path
from shlex import quote

TRAIN = str(LAYOUT.root / "train")
CASES = join(TRAIN, "nnUNet_raw", "{dataset}", "cases.tsv")
SPLITS = join(TRAIN, "nnUNet_preprocessed", "{dataset}", "splits_final.json")
FOLD = join(
    TRAIN, "nnUNet_results", "{dataset}", "{trained}", "fold_{fold}", "checkpoint_final.pth"
)


wildcard_constraints:
    dataset=r"Dataset\d{3}_columna",
    fold=r"\d+",
    phase="semantic|instance",


@cache
def recipe():
    """The recipe; read only when something is to be trained."""
    from columna.train.recipe import load_train_config

    try:
        return load_train_config(CONFIG.training)
    except ColumnaError as error:
        stop(error)


def above(levels):
    """The folder so many levels above a job's first output."""
    return lambda wildcards, output: str(Path(output[0]).parents[levels])


def data_recipe(wildcards):
    """The part of the recipe that the conversion depends on, as JSON."""
    keys = dict.fromkeys(("datasets", "folds", "prepare", "nnunet"), True)
    return recipe().model_dump_json(include=keys | {"semantic": {"classes"}})


def network_recipe(wildcards):
    """The part of the recipe that a network of columna's own loop depends on, as JSON."""
    other = {"semantic": "instance", "instance": "semantic"}[wildcards.phase]
    return recipe().model_dump_json(exclude={other, "nnunet"})


def fold_recipe(wildcards):
    """The part of the recipe that nnU-Net's training of a fold depends on, as JSON."""
    keys = {"dataset_id", "configuration", "trainer", "plans", "device"}
    return recipe().model_dump_json(include={"nnunet": keys})


def train_gpu(wildcards):
    return 0 if recipe().device == "cpu" else gpus("train_network")


def trained_models(wildcards):
    """Model folders that the recipe asks for; a network of one phase stands alone."""
    semantic = recipe().semantic
    engine = {"columna": "semantic", "nnunet": "nnunet"}[semantic.engine]
    names = (engine, "instance") if semantic.classes == "structures" else (engine,)
    return [join(TRAIN, name, "model", "inference_config.json") for name in names]


def converted(wildcards):
    """The converted dataset, where the recipe names any."""
    return CASES.format(dataset=recipe().nnunet.dataset) if recipe().datasets else []


def label_maps(wildcards):
    """The pool of label maps, which synthetic samples come from."""
    pooled = recipe().synthetic and recipe().maps
    return join(TRAIN, "maps", "done") if pooled else []


def trained_folds(wildcards):
    settings = recipe().nnunet
    return expand(FOLD, dataset=settings.dataset, trained=settings.trained, fold=settings.folds)


def nnunet_folders(levels):
    """nnU-Net's variables: its three folders lie so many levels above a job's output."""
    kinds = ("raw", "preprocessed", "results")
    return lambda wildcards, output: " ".join(
        f"nnUNet_{kind}={quote(join(Path(output[0]).parents[levels], f'nnUNet_{kind}'))}"
        for kind in kinds
    )
