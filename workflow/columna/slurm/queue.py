"""Jobs that wait in the queue."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from columna.slurm.commands import SEPARATOR, ask_slurm, megabytes
from columna.slurm.nodes import Need, read_gpus

_FIELDS = (
    *("JobID", "Partition", "TimeLimit", "MinCpus", "MinMemory", "tres-per-job", "tres-per-node"),
    *("Feature", "ReqNodes", "Account", "QOS", "UserName", "Reason", "Comment"),
)
_COMMENT = re.compile(r"rule_(?P<rule>.+?)(_wildcards_(?P<batch>.+))?")
"""What the Slurm plugin of Snakemake writes into a job's comment."""


@dataclass(frozen=True)
class JobSource:
    """The job of the workflow that a job of Slurm is for."""

    rule: str
    batch: str

    def __str__(self) -> str:
        return f"{self.rule} {self.batch}".strip()


@dataclass(frozen=True)
class Waiting:
    """A job that Slurm has not started."""

    id: str
    source: JobSource
    partitions: tuple[str, ...]
    time_limit: str
    need: Need
    nodes: str
    """Names of nodes that it must have; mostly none."""
    account: str
    qos: str
    user: str
    reason: str


@dataclass(frozen=True)
class Running:
    """Whom a job that runs is charged to."""

    account: str
    qos: str
    user: str


def read_source(comment: str) -> JobSource:
    """The job of the workflow, from the comment of its Slurm job."""
    found = _COMMENT.fullmatch(comment)
    return JobSource(found["rule"], found["batch"] or "") if found else JobSource("", "")


def parse_waiting(lines: Sequence[Sequence[str]]) -> list[Waiting]:
    """Jobs that wait, from what `squeue` prints."""
    return [_parse_job(dict(zip(_FIELDS, line, strict=False))) for line in lines]


def read_waiting(run: str) -> list[Waiting]:
    """Jobs of a run that wait; the plugin gives all of them the run's id as their name."""
    return parse_waiting(_squeue(_FIELDS, f"--name={run}", "--states=PENDING"))


def read_running() -> list[Running]:
    """All jobs of the cluster that hold resources, as far as one may see them."""
    states = "--states=RUNNING,COMPLETING,CONFIGURING,SUSPENDED"
    return [Running(*line[:3]) for line in _squeue(("Account", "QOS", "UserName"), states)]


def sees_others() -> bool:
    """Whether the cluster shows the jobs of other people."""
    settings = [line[0].partition("=") for line in ask_slurm("scontrol", "show", "config")]
    private = {key.strip(): value for key, _, value in settings}.get("PrivateData", "")
    return "jobs" not in private and "all" not in private


def _squeue(fields: Sequence[str], *options: str) -> list[list[str]]:
    wanted = ",".join(f"{field}:{SEPARATOR}" for field in fields)
    return ask_slurm("squeue", "--noheader", f"--Format={wanted}", *options)


def _parse_job(job: dict[str, str]) -> Waiting:
    plain = re.fullmatch(r"[\w.&,-]+", job["Feature"])
    return Waiting(
        id=job["JobID"],
        source=read_source(job["Comment"]),
        partitions=tuple(job["Partition"].split(",")),
        time_limit=job["TimeLimit"],
        need=Need(
            cpus=int(job["MinCpus"]),
            memory_mb=megabytes(job["MinMemory"]),
            gpus=read_gpus(job["tres-per-job"]) or read_gpus(job["tres-per-node"]),
            features=frozenset(re.split("[&,]", plain[0])) if plain else frozenset(),
        ),
        nodes=job["ReqNodes"],
        account=job["Account"],
        qos=job["QOS"],
        user=job["UserName"],
        reason=job["Reason"],
    )
