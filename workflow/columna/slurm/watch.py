"""Tells at once about jobs that Slurm refuses or will never start."""

import logging
import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from columna.slurm.nodes import Nodes, read_nodes
from columna.slurm.queue import Waiting, read_running, read_waiting, sees_others
from columna.slurm.waiting_reasons import WaitingKind, is_stuck, kind_of, refusal, sentence

EVERY_S = 15.0
"""Twice this passes until a doubtful reason is believed: less than a minute in all."""

_RUN = re.compile(r"SLURM run ID: (\S+)")


class Watch(logging.Handler):
    """Listens to Snakemake, and looks at the queue from the moment that a run on Slurm begins.

    Parameters
    ----------
    tell
        What shows a sentence to the person who runs the workflow.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell
        self._told: set[tuple[str, WaitingKind | str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a run's id and of jobs that were refused; all else is let pass."""
        if begun := _RUN.fullmatch(record.getMessage()):
            threading.Thread(target=self._look_on, args=(begun[1],), daemon=True).start()
        elif refused := refusal(str(getattr(record, "rule_msg", None) or "")):
            source, kind, text = refused
            self._tell_once(source.rule, kind or text, text)

    def _look_on(self, run: str) -> None:
        doubtful: set[str] = set()
        while True:
            time.sleep(EVERY_S)
            try:
                doubtful = self.look(run, doubtful)
            except (OSError, ValueError, KeyError, subprocess.SubprocessError):
                continue  # Slurm is busy; the next look will do

    def look(self, run: str, doubtful: set[str]) -> set[str]:
        """Look once at the queue, and tell what is new.

        Parameters
        ----------
        run
            Name of the run's jobs.
        doubtful
            Jobs that seemed stuck at the last look, for a reason that may pass by itself.

        Returns
        -------
        set of str
            Jobs that seem so now.
        """
        waiting = [(job, kind) for job in read_waiting(run) if (kind := kind_of(job.reason))]
        if not waiting:
            return set()
        nodes = read_nodes()
        counted = any(kind.holds == "unless_running" for _, kind in waiting)
        others = counted and sees_others()
        running = read_running() if counted else []
        stuck = [(j, k) for j, k in waiting if is_stuck(j, k, nodes, running, others)]
        sure = [(j, k) for j, k in stuck if k.holds == "always" or j.id in doubtful]
        for jobs in by_rule_and_kind(sure):
            self._tell_group(jobs, nodes)
        return {job.id for job, kind in stuck if kind.holds != "always"}

    def _tell_group(self, jobs: list[tuple[Waiting, WaitingKind]], nodes: list[Nodes]) -> None:
        job, kind = jobs[0]
        self._tell_once(job.source.rule, kind, sentence(job, kind, nodes, len(jobs) - 1))

    def _tell_once(self, rule: str, kind: WaitingKind | str, text: str) -> None:
        if (rule, kind) not in self._told:
            self._told.add((rule, kind))
            self._tell(text)


def by_rule_and_kind(
    jobs: list[tuple[Waiting, WaitingKind]],
) -> list[list[tuple[Waiting, WaitingKind]]]:
    """Jobs that one sentence speaks for."""
    groups: dict[tuple[str, WaitingKind], list[tuple[Waiting, WaitingKind]]] = defaultdict(list)
    for job, kind in jobs:
        groups[job.source.rule, kind].append((job, kind))
    return list(groups.values())
