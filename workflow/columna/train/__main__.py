"""Command line: ``python -m columna.train {semantic,instance} --minutes 45 --out models``.

For a training by the clock; `columna train` runs a recipe.
"""

import argparse
from pathlib import Path

import torch

from columna.logs import configure_logging
from columna.models.device import choose_device
from columna.train.networks.loop import TrainSettings, train
from columna.train.networks.model_folders import EXPORTS
from columna.train.recipe import PHASES, TrainConfig
from columna.train.samples.stream import Stream
from columna.train.sources import fresh, pooled, synthetic
from columna.train.train_one import choose_training_format, make_task


def main(arguments: list[str] | None = None) -> None:
    """Train one network and write its model folder."""
    options = _parser().parse_args(arguments)
    configure_logging()
    torch.set_num_threads(options.threads)
    task, device = make_task(options.kind, TrainConfig()), choose_device()
    settings = TrainSettings(
        state=options.state,
        steps=options.max_steps,
        minutes=options.minutes,
        learning_rate=options.learning_rate,
        compute=choose_training_format("auto", device),
    )
    stream = Stream(
        synthetic(task, pooled(options.pool, tuple(options.exclude)) if options.pool else fresh),
        task.per_draw,
        options.seed,
        options.batch_size,
        options.mixed,
        workers=options.workers,
    )
    EXPORTS[options.kind](train(task, stream, settings, device), options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m columna.train", description=__doc__)
    parser.add_argument("kind", choices=PHASES)
    parser.add_argument("--minutes", type=float, default=45.0, help="wall time of the training")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--state", type=Path, required=True, help="file to resume from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that paint samples")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--pool", type=Path, help="label maps (columna.train.samples.pool)")
    parser.add_argument("--exclude", nargs="*", default=(), help="real maps that are not used")
    parser.add_argument("--mixed", type=int, default=4, help="draws that are shuffled together")
    return parser


if __name__ == "__main__":
    main()
