"""Endless training samples that follow from a seed and a position, and from nothing else.

Sample n is the same whatever the number of processes, and whether a training began at it or came
to it: every draw has a generator of its own, and the samples of `mixed` neighbouring draws are
shuffled by a generator of that group. So a killed training continues with the very
samples that it would have seen.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

TRAINING, VALIDATION, SHUFFLE = 0, 1, 2
"""What a generator is for: no two purposes share one."""
Arrays = tuple[np.ndarray, np.ndarray]
"""Samples of one draw: inputs (n, ...) and classes (n, ...)."""
Source = Callable[[np.random.Generator], Arrays]
"""Draws samples; as many at every draw."""


class Draws(torch.utils.data.Dataset):
    """The n-th draw of a source."""

    def __init__(self, source: Source, seed: int, purpose: int) -> None:
        self._source, self._key = source, (seed, purpose)

    def __getitem__(self, index: int) -> Arrays:
        """Samples of draw `index`."""
        return self._source(np.random.default_rng([*self._key, index]))


@dataclass(frozen=True)
class Mixture:
    """Several sources, each drawn from as often as its share says.

    Parameters
    ----------
    sources
        Name -> source.
    shares
        Name -> share, not negative; only the ratios matter.
    """

    sources: Mapping[str, Source]
    shares: Mapping[str, float]

    def __call__(self, rng: np.random.Generator) -> Arrays:
        """Draw a source, and samples of it."""
        names = sorted(self.sources)
        odds = np.array([self.shares[name] for name in names], float)
        return self.sources[names[rng.choice(len(names), p=odds / odds.sum())]](rng)


@dataclass(frozen=True)
class Stream:
    """Batches from a given step on.

    Parameters
    ----------
    source
        What is drawn.
    per_draw
        Samples that `source` gives at once.
    seed
        Everything follows from it.
    batch_size
        Samples per step.
    mixed
        Draws whose samples are shuffled among each other.
    workers
        Processes that make samples; 0: this one.
    """

    source: Source
    per_draw: int
    seed: int
    batch_size: int
    mixed: int = 4
    workers: int = 0

    def batches(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and classes of step `step` and all that follow."""
        per_group = self.mixed * self.per_draw
        group, skipped = divmod(step * self.batch_size, per_group)
        samples = itertools.islice(self._samples(group), skipped, None)
        while True:
            inputs, targets = zip(*itertools.islice(samples, self.batch_size), strict=True)
            yield torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets))

    def _samples(self, group: int) -> Iterator[Arrays]:
        draws = self._draws(group * self.mixed)
        while True:
            drawn = list(itertools.islice(draws, self.mixed))
            pairs = [pair for arrays in drawn for pair in zip(*arrays, strict=True)]
            rng = np.random.default_rng([self.seed, SHUFFLE, group])
            yield from (pairs[n] for n in rng.permutation(len(pairs)))
            group += 1

    def _draws(self, first: int) -> Iterator[Arrays]:
        loader = torch.utils.data.DataLoader(
            Draws(self.source, self.seed, TRAINING),
            sampler=itertools.count(first),
            batch_size=None,
            num_workers=self.workers,
            collate_fn=_unchanged,
            worker_init_fn=_one_thread,
        )
        return iter(loader)


def held_out(source: Source, seed: int, count: int) -> Iterator[Arrays]:
    """Samples of `count` draws that training never makes; the same every time."""
    draws = Draws(source, seed, VALIDATION)
    return (draws[index] for index in range(count))


def _unchanged(arrays: Any) -> Any:
    """Keep NumPy arrays: tensors between processes would use up file descriptors."""
    return arrays


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
