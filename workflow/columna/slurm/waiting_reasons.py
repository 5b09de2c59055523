"""Which of Slurm's reasons mean that a job will never start, and what to do about them."""

import csv
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from columna.slurm.commands import minutes
from columna.slurm.nodes import Nodes, limits_of, widest
from columna.slurm.queue import JobSource, Running, Waiting, read_source

_REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.\n", re.DOTALL)
_COMMENT = re.compile(r"--comment '?([^\s']+)")
_START_AGAIN = "in your profile and start the run again"


@dataclass(frozen=True)
class WaitingKind:
    """One kind of reason: a row of ``resources/slurm_reasons.tsv``."""

    words: str
    """Regular expression of what Slurm says."""
    holds: str
    """``always``; ``unless_running``: not while other jobs count towards the same limit;
    ``unless_fitting``: not while a node in service could take the job; ``refused``: Slurm did not
    even accept the job."""
    because: str
    change: str


@functools.cache
def kinds() -> tuple[WaitingKind, ...]:
    """All kinds; the first that fits counts."""
    text = files("columna.resources").joinpath("slurm_reasons.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(WaitingKind(**row) for row in rows)


def kind_of(words: str, *, refused: bool = False) -> WaitingKind | None:
    """The kind of what Slurm says; None: nothing that would not pass by itself."""
    for kind in kinds():
        if (kind.holds == "refused") == refused and re.fullmatch(kind.words, words):
            return kind
    return None


def is_stuck(
    job: Waiting,
    kind: WaitingKind,
    nodes: Sequence[Nodes],
    running: Sequence[Running],
    others: bool,
) -> bool:
    """Whether a job cannot start, as far as nodes and running jobs show.

    Parameters
    ----------
    others
        Whether `running` holds the jobs of other people.
    """
    if kind.holds == "unless_fitting":
        fitting = (n for n in _of_partitions(job, nodes) if n.is_in_service)
        are_own_away = bool(job.nodes) and job.reason.endswith(f"UnavailableNodes:{job.nodes}")
        return are_own_away or not any(n.could_take(job.need) for n in fitting)
    if kind.holds == "unless_running":
        if _is_shared(job.reason) and not others:
            return False
        return not any(_counts_towards(job, other) for other in running)
    return True


def sentence(job: Waiting, kind: WaitingKind, nodes: Sequence[Nodes], others: int = 0) -> str:
    """What to tell the person who runs the workflow; `others` wait for the same reason."""
    facts = {
        "id": job.id,
        "rule": job.source.rule or "RULE",
        "time": f"{minutes(job.time_limit)} minutes",
        "most_minutes": widest(limits_of(nodes), ",".join(job.partitions)).minutes or "...",
        "partition": " or ".join(job.partitions),
        "account": job.account,
        "qos": job.qos,
        "cores": _amount(job.need.cpus, "core"),
        "memory": f"{job.need.memory_mb} MB",
        "gpus": _gpus(job),
        "asked": ", ".join(_asked(job)),
        "away": _away(job, nodes),
    }
    name = f"{job.id} ({job.source})" if job.source.rule else job.id
    more = f" and {others} more like it" if others else ""
    because, change = (text.format(**facts) for text in (kind.because, kind.change))
    ending = f" {_START_AGAIN}" if "write " in change else ""
    return (
        f"Slurm will not start job {name}{more}: {job.reason}, because {because}; {change}{ending}."
    )


def _asked(job: Waiting) -> list[str]:
    need = job.need
    asked = [_amount(need.cpus, "core"), f"{need.memory_mb} MB" if need.memory_mb else ""]
    named = [f"feature {name}" for name in sorted(need.features)]
    asked += [_gpus(job), *named, f"node {job.nodes}" if job.nodes else ""]
    return [text for text in asked if text]


def _amount(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _gpus(job: Waiting) -> str:
    return ", ".join(f"{number} GPU {kind}".strip() for kind, number in job.need.gpus)


def _away(job: Waiting, nodes: Sequence[Nodes]) -> str:
    """What follows where nodes of the job's partitions are out of service."""
    names = {n.names for n in _of_partitions(job, nodes) if not n.is_in_service}
    return f"; out of service: {', '.join(sorted(names))}" if names else ""


def refusal(message: str) -> tuple[JobSource, WaitingKind | None, str] | None:
    """The job that Slurm did not accept, why, and what to tell; None: another message."""
    found, comment = _REFUSED.search(message), _COMMENT.search(message)
    if found is None:
        return None
    source = read_source(comment[1] if comment else "")
    lines = [line.removeprefix("sbatch: error: ").strip() for line in found[1].splitlines()]
    candidates = [(kind_of(line, refused=True), line) for line in lines if line]
    kind, line = next((c for c in candidates if c[0]), (None, "; ".join(lines)))
    name = f"the job {source}" if source.rule else "a job"
    text = f"Slurm refused {name}: {line.removeprefix('Batch job submission failed: ')}"
    if kind is None:
        return source, None, f"{text}."
    change = kind.change.format(rule=source.rule or "RULE")
    return source, kind, f"{text}, because {kind.because}; {change} {_START_AGAIN}."


def _of_partitions(job: Waiting, nodes: Sequence[Nodes]) -> list[Nodes]:
    return [n for n in nodes if n.partition in job.partitions]


def _is_shared(reason: str) -> bool:
    """Whether a limit counts the jobs of several people."""
    return "Grp" in reason or "PerAccount" in reason


def _counts_towards(job: Waiting, other: Running) -> bool:
    """Whether another job may be what uses up the limit that holds back `job`."""
    by_qos = job.reason.startswith("QOS")
    is_same = job.qos == other.qos if by_qos else job.account == other.account
    return is_same and (_is_shared(job.reason) or job.user == other.user)
