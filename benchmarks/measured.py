"""Run a command and print its wall seconds, CPU seconds and peak memory; optional limits.

    python benchmarks/measured.py [--max-cpu-s 20] [--max-mb 1000] -- COMMAND ...

CPU counts the command and its children, and is what is limited: on a busy machine the wall clock
says little. Memory is that of the largest process. Exits with the command's own status, or 3 if
it went beyond a limit.
"""

import argparse
import resource
import subprocess
import sys
import time

BEYOND_LIMIT = 3


def measure(command: list[str]) -> tuple[int, float, float, float]:
    """Status, wall seconds, CPU seconds, peak MB of `command`."""
    began = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    wall_s = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return status, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-cpu-s", type=float, default=float("inf"), help="limit of CPU time")
    parser.add_argument("--max-mb", type=float, default=float("inf"), help="limit of peak memory")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    status, wall_s, cpu_s, peak_mb = measure(command)
    print(f"{wall_s:.1f} s wall, {cpu_s:.1f} s CPU, {peak_mb:.0f} MB peak: {' '.join(command)}")
    beyond = cpu_s > options.max_cpu_s or peak_mb > options.max_mb
    return status or (BEYOND_LIMIT if beyond else 0)


if __name__ == "__main__":
    sys.exit(main())
