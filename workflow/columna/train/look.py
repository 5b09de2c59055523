"""A look at real scans with the weights of a training that is still going on.

``python -m columna.train.look STATE OUT --sheet SCANS.tsv`` segments the scans of a sheet
(participant_id, path and, for Dice, semantic) with the averaged weights of a training state. It
prints Dice, writes a picture of every scan, and leaves the weights as a model folder.
"""

import argparse
from pathlib import Path

import torch

from columna.logs import configure_logging
from columna.models.checkpoint import load_checkpoint
from columna.train.looks import Looks
from columna.train.recipe import PHASES, LooksSettings, TrainConfig
from columna.train.train_one import make_task


def main(arguments: list[str] | None = None) -> None:
    """Take one look."""
    parser = argparse.ArgumentParser(prog="python -m columna.train.look", description=__doc__)
    parser.add_argument("state", type=Path, help="what `python -m columna.train` resumes from")
    parser.add_argument("out", type=Path, help="gets the pictures and model/")
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--kind", choices=PHASES, default="semantic")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    configure_logging()
    torch.set_num_threads(options.threads)
    content = load_checkpoint(options.state)
    network = make_task(options.kind, TrainConfig()).build_network()
    network.load_state_dict(content["averaged"])
    config = TrainConfig(device="cpu", looks=LooksSettings(sheet=options.sheet))
    points = Looks(options.kind, config, options.out).take(content["step"], network.eval())
    for _, what, value in points:
        print(f"step {content['step']}  {what}  {value:.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
