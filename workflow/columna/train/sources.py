"""Where the samples of a task come from: synthetic scenes, and scans of a converted dataset."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from columna.train import semantic
from columna.train.dataset import read_cases
from columna.train.labels import CLASS_OF
from columna.train.real import RealSource
from columna.train.settings import TrainConfig
from columna.train.stream import Arrays, Mixture, Source
from columna.train.subject import Subject, Triple, draw_synthetic
from columna.train.task import Task

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Inputs:
    """What is made before a training.

    Parameters
    ----------
    dataset
        Folder of `columna.train.dataset.convert`, where the recipe names datasets.
    maps
        Folder of `columna.train.pool`, where phase 1 is painted from a pool.
    """

    dataset: Path | None = None
    maps: Path | None = None


Draw = Callable[[np.random.Generator, Triple], Subject]


def synthetic(task: Task) -> Source:
    """Samples of scenes that are made and painted at random."""
    return _samples(task, draw_synthetic)


def pooled(folder: Path, exclude: tuple[str, ...] = ()) -> Source:
    """Phase-1 patches of label maps that were made before (`columna.train.pool`).

    Samples follow from the seed alone once the pool is complete.
    """
    from columna.train.patches import make_patch
    from columna.train.pool import Pool

    pool = Pool(folder, exclude=exclude)

    def samples(rng: np.random.Generator) -> Arrays:
        label_map = pool.draw(rng)
        made = [
            make_patch(label_map, semantic.PATCH, semantic.SPACING_MM, rng)
            for _ in range(semantic.TASK.per_draw)
        ]
        images, masks = zip(*made, strict=True)
        return (
            np.stack([image.T[None] for image in images]),
            np.stack([CLASS_OF[mask].T for mask in masks]),
        )

    return samples


def training_source(task: Task, config: TrainConfig, inputs: Inputs) -> Source:
    """Mix synthetic and real samples as the recipe says, without the fold that is held out."""
    return _mixture(task, config, inputs, lambda fold: fold != config.fold)


def validation_source(task: Task, config: TrainConfig, inputs: Inputs) -> Source:
    """Mix synthetic samples and real ones of the held-out fold.

    Synthetic scenes are made anew: those of a pool are the ones that are trained on.
    """
    fresh = replace(inputs, maps=None)
    return _mixture(task, config, fresh, lambda fold: fold == config.fold)


def _mixture(
    task: Task, config: TrainConfig, inputs: Inputs, wanted: Callable[[int], bool]
) -> Source:
    sources, shares = {}, {}
    if config.synthetic:
        sources[SYNTHETIC] = _synthetic(task, config, inputs.maps)
        shares[SYNTHETIC] = config.synthetic
    cases = read_cases(inputs.dataset) if inputs.dataset else []
    for name, settings in config.datasets.items():
        own = [case for case in cases if case.dataset == name and wanted(case.fold)]
        if own:
            sources[name] = _samples(task, RealSource(inputs.dataset, own))
            shares[name] = settings.share
    # a held-out fold may be empty: the curves then show synthetic samples
    return Mixture(sources, shares) if sources else synthetic(task)


def _synthetic(task: Task, config: TrainConfig, maps: Path | None) -> Source:
    if task.name == "semantic" and maps is not None:
        return pooled(maps, config.left_out_maps)
    return synthetic(task)


def _samples(task: Task, draw: Draw) -> Source:
    """Draw subjects until one of them gives samples."""

    def samples(rng: np.random.Generator) -> Arrays:
        while True:
            arrays = task.cut(draw(rng, task.spacing_mm), rng)
            if arrays is not None:
                return arrays

    return samples
