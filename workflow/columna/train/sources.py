"""Where the samples of a task come from: label maps, and scans of a converted dataset."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from columna.train.networks.task import TrainingTask
from columna.train.recipe import TrainConfig
from columna.train.samples.dataset import read_cases
from columna.train.samples.maps import LabelMap, phantom_map
from columna.train.samples.pool import Pool
from columna.train.samples.real_scans import Scans
from columna.train.samples.stream import Arrays, Mixture, Source

SYNTHETIC = "synthetic"
FRESH_SEEDS = (1_000_000, 2**31)
"""Seeds of patients for samples without a pool: above those of pools, below held-out phantoms."""


@dataclass(frozen=True)
class Inputs:
    """What is made before a training.

    Parameters
    ----------
    dataset
        Folder of `columna.train.samples.dataset.convert`, where the recipe names datasets.
    maps
        Folder of `columna.train.samples.pool`; without one, every sample makes its own map.
    """

    dataset: Path | None = None
    maps: Path | None = None


MapSource = Callable[[np.random.Generator], LabelMap]


def synthetic(task: TrainingTask, maps: MapSource) -> Source:
    """Samples of label maps. From a pool, they follow from the seed once it is complete."""
    return _samples(lambda rng: task.cut_map(maps(rng), rng))


def pooled(folder: Path, exclude: tuple[str, ...] = ()) -> MapSource:
    """Label maps made before (`columna.train.samples.pool`), but real ones to `exclude`."""
    return Pool(folder, exclude=exclude).draw


def fresh(rng: np.random.Generator) -> LabelMap:
    """Make a map of a patient who is in no pool; takes seconds."""
    return phantom_map(int(rng.integers(*FRESH_SEEDS)))


def training_source(task: TrainingTask, config: TrainConfig, inputs: Inputs) -> Source:
    """Mix synthetic and real samples as the recipe says, without the fold that is held out."""
    return _mixture(task, config, inputs, lambda fold: fold != config.fold)


def validation_source(task: TrainingTask, config: TrainConfig, inputs: Inputs) -> Source:
    """Mix synthetic samples and real ones of the held-out fold.

    Label maps are made anew: those of a pool are the ones that are trained on.
    """
    fresh = replace(inputs, maps=None)
    return _mixture(task, config, fresh, lambda fold: fold == config.fold)


def _mixture(
    task: TrainingTask, config: TrainConfig, inputs: Inputs, wanted: Callable[[int], bool]
) -> Source:
    sources, shares = {}, {}
    maps = pooled(inputs.maps, config.left_out_maps) if inputs.maps else fresh
    if config.synthetic:
        sources[SYNTHETIC] = synthetic(task, maps)
        shares[SYNTHETIC] = config.synthetic
    cases = read_cases(inputs.dataset) if inputs.dataset else []
    for name, settings in config.datasets.items():
        own = [case for case in cases if case.dataset == name and wanted(case.fold)]
        # without instances there is nothing for phase 2 to learn
        if inputs.dataset and own and (task.name == "semantic" or settings.labels is None):
            sources[name] = _scans(task, Scans(inputs.dataset, own))
            shares[name] = settings.share
    # a held-out fold may be empty: the curves then show synthetic samples
    return Mixture(sources, shares) if sources else synthetic(task, maps)


def _scans(task: TrainingTask, scans: Scans) -> Source:
    return _samples(lambda rng: task.cut_scan(scans.draw(rng), rng))


def _samples(draw: Callable[[np.random.Generator], Arrays | None]) -> Source:
    """Draw until there are samples."""

    def samples(rng: np.random.Generator) -> Arrays:
        while True:
            if (arrays := draw(rng)) is not None:
                return arrays

    return samples
