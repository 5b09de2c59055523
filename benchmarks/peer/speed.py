"""What each phase costs in the released package and in columna, on the same scan and weights.

    python benchmarks/peer/speed.py [ph3 ph1 fused ...]

ph1 and ph3 run with both networks, phantoms (`cases.py`) from a noisy truth on and without N4.

Each runs in a process of its own, one after the other, with the same number of threads. On a busy
machine compare CPU seconds. Peaks of phases are of the whole process while the phase runs.
"""

import sys
from collections.abc import Iterator

from cases import PHANTOMS, make_case
from oracle import Answer, run_columna, run_package, stored_scan

PHASES = (
    "N4",
    "prepare",
    "semantic network",
    "semantic cleaning",
    "body centres",
    "instance network",
    "instance merge",
    "final masks",
    "points",
    "saving",
)
AFTER_NETWORKS = (
    "semantic cleaning",
    "body centres",
    "instance merge",
    "final masks",
    "points",
    "saving",
)
HEAD = ("scan", "phase", "wall s", "", "ratio", "CPU s", "", "ratio", "peak MB", "")
NOTHING = {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}


def lines(scan: str) -> Iterator[str]:
    path, options = stored_scan(scan), {}
    if scan in PHANTOMS:
        case = make_case(scan)
        path, options = case.scan, {"answer": str(case.answer), "n4": False}
    theirs = run_package(f"{scan}-timed", path, again=True, **options)
    ours = run_columna(f"{scan}-timed", path, again=True, **options)
    yield from compare(scan, theirs, ours)


def compare(scan: str, theirs: Answer, ours: Answer) -> Iterator[str]:
    for phase in PHASES:
        yield line(scan, phase, costs(theirs, [phase]), costs(ours, [phase]))
    rest = "cleaning to saving, without networks"
    yield line(scan, rest, costs(theirs, AFTER_NETWORKS), costs(ours, AFTER_NETWORKS))
    yield line(scan, "whole scan", costs(theirs, PHASES), costs(ours, PHASES))
    starts = (answer.result["start"]["phases"]["other"] for answer in (theirs, ours))
    yield line(scan, "start: imports, models", *starts)


def costs(answer: Answer, phases: list[str] | tuple[str, ...]) -> dict[str, float]:
    """Seconds of all `phases` together, and the largest of their peaks."""
    spent = [answer.result["phases"].get(phase, NOTHING) for phase in phases]
    return {
        "wall_s": sum(phase["wall_s"] for phase in spent),
        "cpu_s": sum(phase["cpu_s"] for phase in spent),
        "peak_mb": max(phase["peak_mb"] for phase in spent),
    }


def line(scan: str, phase: str, theirs: dict[str, float], ours: dict[str, float]) -> str:
    cells = [scan, phase]
    for key in ("wall_s", "cpu_s"):
        cells += [f"{theirs[key]:.2f}", f"{ours[key]:.2f}"]
        cells.append(f"{theirs[key] / ours[key]:.1f}" if ours[key] > 0.005 else "")
    cells += [f"{theirs['peak_mb']:.0f}", f"{ours['peak_mb']:.0f}"]
    return f"| {' | '.join(cells)} |"


def table(scans: list[str]) -> Iterator[str]:
    yield "SPINEPS left, columna right."
    yield ""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for scan in scans:
        yield from lines(scan)


if __name__ == "__main__":
    for text in table(sys.argv[1:] or ["ph3", "ph1"]):
        print(text, flush=True)
