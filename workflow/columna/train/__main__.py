"""Command line: ``python -m columna.train {semantic,instance} --minutes 45 --out models``."""

import argparse
from pathlib import Path

import torch

from columna.train import export, instance, semantic
from columna.train.loop import TrainSettings, train

_KINDS = {"semantic": semantic, "instance": instance}


def main(arguments: list[str] | None = None) -> None:
    """Train one network and write its model folder."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    kind = _KINDS[options.kind]
    options.state.parent.mkdir(parents=True, exist_ok=True)
    settings = TrainSettings(
        minutes=options.minutes,
        state=options.state,
        seed=options.seed,
        learning_rate=options.learning_rate,
        max_steps=options.max_steps,
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stream = options.seed + 1000 * options.stream
    batches = kind.batches(stream, options.batch_size, options.workers)
    network = train(kind.build_network(), batches, settings, device)
    export.EXPORTS[options.kind](network, options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m columna.train", description=__doc__)
    parser.add_argument("kind", choices=_KINDS)
    parser.add_argument("--minutes", type=float, default=45.0, help="wall time of the training")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--state", type=Path, required=True, help="file to resume from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stream", type=int, default=0, help="other samples, same seed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that paint samples")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-steps", type=int)
    return parser


if __name__ == "__main__":
    main()
