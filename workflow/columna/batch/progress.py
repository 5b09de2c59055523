"""Progress of a batch: a bar on a terminal, a line per scan in a log."""

import logging
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from columna.results.store import Record

log = logging.getLogger(__name__)


class BatchProgress:
    """Tells how far a batch is."""

    def __init__(self, title: str, total: int) -> None:
        self.total = total
        self.ended_n = 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task(title, total=total)
        self._is_shown = sys.stderr.isatty()

    def __enter__(self) -> "BatchProgress":
        if self._is_shown:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._bar.stop()

    def ended(self, record: Record) -> None:
        """Count a scan."""
        self.ended_n += 1
        self._bar.advance(self._task)
        why = f" ({record.code}: {record.reason})" if record.reason else ""
        log.info(
            "[%d/%d] %s %s %.1f s%s",
            self.ended_n,
            self.total,
            record.scan_id,
            record.status,
            record.seconds,
            why,
        )
