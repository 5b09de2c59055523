"""A training small enough to be killed: ``python toy_training.py STATE STEPS [SLEEP_S]``."""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from columna.train.networks.loop import Monitor, TrainSettings, train
from columna.train.networks.losses import deep_loss
from columna.train.networks.task import TrainingTask, adamw, no_penalty, polynomial
from columna.train.samples.stream import Stream

SHAPE = (4, 8, 8)


def source(rng):
    """Two noisy boxes, and where they are."""
    target = np.zeros((2, *SHAPE), np.uint8)
    for n in range(2):
        a, b = rng.integers(0, 4, 2)
        target[n, 1:3, a : a + 4, b : b + 4] = 1
    image = target[:, None] + rng.normal(0, 0.3, (2, 1, *SHAPE))
    return image.astype(np.float32), target


TASK = TrainingTask(
    name="toy",
    structures={1: "box"},
    allowed=np.eye(2, dtype=bool),
    build_network=lambda: nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.LeakyReLU(), nn.Conv3d(8, 2, 3, padding=1)
    ),
    cut_scan=None,
    cut_map=None,
    per_draw=2,
    encode=lambda patches: patches,
    loss=partial(deep_loss, allowed=torch.eye(2, dtype=torch.bool)),
    penalty=no_penalty,
    optimizer=adamw,
    schedule=polynomial,
)


def run(state, steps, *, seed=0, workers=0, monitors=(), save_seconds=0.0, recipe="", tell=None):
    stream = Stream(source, 2, seed, batch_size=3, mixed=2, workers=workers)
    settings = TrainSettings(
        state, steps, learning_rate=1e-2, save_seconds=save_seconds, recipe=recipe
    )
    given = {"tell": tell} if tell else {}
    return train(TASK, stream, settings, torch.device("cpu"), monitors, **given)


if __name__ == "__main__":
    torch.set_num_threads(1)
    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    slow = Monitor(1, lambda step, network: time.sleep(pause) or [])
    run(Path(sys.argv[1]), int(sys.argv[2]), monitors=[slow])
