"""Wall time, CPU time and peak memory of the phases of a program that is not changed for it.

Only the standard library: it runs in the environment of the released package, too.
"""

import functools
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from typing import Any

OTHER = "other"
SAMPLING_S = 0.01


class Stopwatch:
    """Charges time to the innermost phase that is running, so that phases add up to the whole."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, float]] = defaultdict(
            lambda: {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}
        )
        self._stack = [OTHER]
        self._since = (time.perf_counter(), time.process_time())
        threading.Thread(target=self._watch_memory, daemon=True).start()

    def wrap(self, owner: Any, name: str, phase: str) -> None:
        """Time every call of the function `name` of a module, class or object."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._switch(lambda: self._stack.append(phase))
            try:
                return function(*args, **kwargs)
            finally:
                self._switch(self._stack.pop)

        setattr(owner, name, timed)

    def report(self) -> dict[str, Any]:
        """Phases so far, and the peak memory of the process."""
        self._switch(lambda: None)
        unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return {"phases": dict(self.phases), "peak_mb": peak_mb}

    def _switch(self, change: Any) -> None:
        now = (time.perf_counter(), time.process_time())
        spent = self.phases[self._stack[-1]]
        spent["wall_s"] += now[0] - self._since[0]
        spent["cpu_s"] += now[1] - self._since[1]
        self._since = now
        change()

    def _watch_memory(self) -> None:
        page_mb = os.sysconf("SC_PAGE_SIZE") / 1e6
        while True:
            try:
                with open("/proc/self/statm") as stream:
                    resident_mb = int(stream.read().split()[1]) * page_mb
            except FileNotFoundError:  # no Linux: the peak of the whole process only
                return
            spent = self.phases[self._stack[-1]]
            spent["peak_mb"] = max(spent["peak_mb"], resident_mb)
            time.sleep(SAMPLING_S)
