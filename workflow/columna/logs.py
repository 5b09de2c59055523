"""Logging of the command line: plain lines with times on standard error."""

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text


def configure_logging(level: int = logging.INFO) -> None:
    """Log to standard error: in colour on a terminal, plain lines in a job's log."""
    if sys.stderr.isatty():
        handler: logging.Handler = RichHandler(console=Console(stderr=True), show_path=False)
        layout = "%(message)s"
    else:
        handler = logging.StreamHandler(sys.stderr)
        layout = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(format=layout, datefmt="%H:%M:%S", handlers=[handler])
    logging.getLogger("columna").setLevel(level)


def printable(text: str) -> Text:
    """`text` for rich to print literally: names of files may hold markup and terminal commands."""
    return Text("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))
