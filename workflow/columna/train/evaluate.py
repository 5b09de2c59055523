"""Dice of a pair of model folders on phantoms that no training saw.

``python -m columna.train.evaluate --semantic FOLDER --instance FOLDER``
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from columna.anatomy import semantic_names
from columna.config import InstanceSettings, PrepareSettings, SemanticSettings
from columna.instance.segment import segment_instances
from columna.models.instance_network import InstanceModel, load_instance_model
from columna.models.semantic_network import SemanticModel, load_semantic_model
from columna.phantom import Phantom, make_phantom, random_settings, write_phantom
from columna.phantom.score import structure_scores, vertebra_scores
from columna.prepare import prepare_scan, read_scan
from columna.semantic.segment import segment_semantic
from columna.volume import resample_mask_like

HELD_OUT = range(3_000_000_000, 3_000_000_006)
"""Seeds of the phantoms: training draws its own below 2^31."""


def evaluate_semantic(phantom: Phantom, model: SemanticModel, *, n4: bool) -> dict[int, float]:
    """Dice of every structure of `phantom`, in the phantom's grid."""
    settings = PrepareSettings(n4=n4)
    with tempfile.TemporaryDirectory() as folder:
        scan = read_scan(write_phantom(phantom, Path(folder), "sub-held"), settings)
    prepared = prepare_scan(scan, model.grid, settings)
    predicted = segment_semantic(prepared, model, SemanticSettings()).mask
    found = resample_mask_like(predicted, phantom.semantic).array
    return structure_scores(found, phantom.semantic.array)


def evaluate_instances(phantom: Phantom, model: InstanceModel) -> dict[int, float]:
    """Dice of every whole vertebra of `phantom` with its best match, given true semantics."""
    raw = segment_instances(phantom.semantic, model, InstanceSettings())
    found = resample_mask_like(raw, phantom.instance).array
    scores = vertebra_scores(found, phantom.instance.array, phantom.truth)
    return {label: score for label, (score, _) in scores.items()}


def held_out_phantoms() -> Iterable[Phantom]:
    """Phantoms with seeds that training never draws, at a clinical voxel size."""
    for seed in HELD_OUT:
        yield make_phantom(random_settings(seed, spacing_mm=(0.9, 0.9, 3.3)))


def _mean_scores(scores: Iterable[dict[int, float]]) -> dict[int, float]:
    collected = defaultdict(list)
    for one in scores:
        for label, value in one.items():
            collected[label].append(value)
    return {label: statistics.fmean(collected[label]) for label in sorted(collected)}


def main(arguments: list[str] | None = None) -> None:
    """Print mean Dice per structure, and over all whole vertebrae."""
    parser = argparse.ArgumentParser(prog="python -m columna.train.evaluate", description=__doc__)
    parser.add_argument("--semantic", type=Path, help="phase-1 model folder")
    parser.add_argument("--instance", type=Path, help="phase-2 model folder")
    parser.add_argument("--n4", action="store_true", help="correct the bias field first")
    options = parser.parse_args(arguments)
    phantoms = list(held_out_phantoms())
    if options.semantic:
        model = load_semantic_model(options.semantic)
        scores = _mean_scores(evaluate_semantic(p, model, n4=options.n4) for p in phantoms)
        for label, value in scores.items():
            print(f"{label:4d} {semantic_names()[label]:28s} {value:.3f}")  # noqa: T201
    if options.instance:
        model = load_instance_model(options.instance)
        all_scores = [s for p in phantoms for s in evaluate_instances(p, model).values()]
        print(f"vertebrae, true semantics: mean {statistics.fmean(all_scores):.3f}, ", end="")  # noqa: T201
        print(f"least {min(all_scores):.3f}, n {len(all_scores)}")  # noqa: T201


if __name__ == "__main__":
    main()
