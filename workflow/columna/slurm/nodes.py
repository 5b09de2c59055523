"""The nodes of a cluster: what its partitions allow, and who could take a job."""

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from columna.slurm.commands import SEPARATOR, ask_slurm, megabytes, minutes

_FORMAT = SEPARATOR.join(("%P", "%l", "%T", "%c", "%m", "%G", "%f", "%N"))
_SINFO = ("sinfo", "--noheader", "--all", "--exact", f"--format={_FORMAT}")
_GPU = re.compile(r"gpu(?::([A-Za-z_][\w.-]*))?(?:[:=](\d+))?")
_OUT_OF_SERVICE = ("down", "drain", "fail", "unk", "inval")


@dataclass(frozen=True)
class Need:
    """What a job needs of one node."""

    cpus: int = 0
    memory_mb: int = 0
    gpus: tuple[tuple[str, int], ...] = ()
    """Types (empty: any) and how many of each."""
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Nodes:
    """Nodes of one partition that are alike."""

    partition: str
    is_default: bool
    minutes: int | None
    """The longest job that the partition allows; None: any."""
    state: str
    cpus: int
    memory_mb: int
    gpus: tuple[tuple[str, int], ...]
    features: frozenset[str]
    names: str

    @property
    def is_in_service(self) -> bool:
        """Whether they will take jobs without someone's help."""
        return not self.state.startswith(_OUT_OF_SERVICE)

    def could_take(self, need: Need) -> bool:
        """Whether an empty one of them has all that a job needs."""
        return (
            self.cpus >= need.cpus
            and self.memory_mb >= need.memory_mb
            and need.features <= self.features
            and all(count_gpus(self.gpus, kind) >= count for kind, count in need.gpus)
        )


@dataclass(frozen=True)
class Limits:
    """The largest job that a partition allows; None: any."""

    minutes: int | None
    memory_mb: int | None


def read_gpus(text: str) -> tuple[tuple[str, int], ...]:
    """GPUs in Slurm's notations: ``gpu:2``, ``gpu:a100:1(S:0)``, ``gres/gpu:a100:1``."""
    return tuple((kind, int(count or 1)) for kind, count in _GPU.findall(text))


def count_gpus(gpus: tuple[tuple[str, int], ...], kind: str) -> int:
    """How many GPUs there are of a type, or of all types."""
    return sum(count for own, count in gpus if kind in ("", own))


def parse_nodes(lines: Sequence[Sequence[str]]) -> list[Nodes]:
    """Nodes of all partitions, from what `sinfo` prints."""
    return [
        Nodes(
            partition=partition.rstrip("*"),
            is_default=partition.endswith("*"),
            minutes=minutes(limit),
            state=state,
            cpus=int(cpus.rstrip("+")),
            memory_mb=megabytes(memory.rstrip("+")),
            gpus=read_gpus(gres),
            features=frozenset(features.split(",")),
            names=names,
        )
        for partition, limit, state, cpus, memory, gres, features, names in lines
    ]


def read_nodes() -> list[Nodes]:
    """Nodes of all partitions of the cluster."""
    return parse_nodes(ask_slurm(*_SINFO))


def read_limits() -> dict[str, Limits]:
    """What each partition allows; the default one is also named by the empty string.

    Empty where Slurm cannot be asked.
    """
    try:
        return limits_of(read_nodes())
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}


def limits_of(nodes: Sequence[Nodes]) -> dict[str, Limits]:
    """What each partition allows, by its nodes."""
    memory: Counter[str] = Counter()
    allowed = {}
    for group in nodes:
        for name in (group.partition, *([""] if group.is_default else [])):
            memory[name] = max(memory[name], group.memory_mb)
            allowed[name] = Limits(group.minutes, memory[name] or None)
    return allowed


def widest(limits: dict[str, Limits], partitions: str) -> Limits:
    """Limits of the most generous of several partitions, separated by commas; unknown: none."""
    chosen = [limits.get(name.strip(), Limits(None, None)) for name in partitions.split(",")]
    return Limits(_most([c.minutes for c in chosen]), _most([c.memory_mb for c in chosen]))


def _most(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
