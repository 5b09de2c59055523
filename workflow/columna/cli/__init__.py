"""The command line: one thin door to every step, so that any job can be repeated by hand."""

from columna.cli.main import app, run

__all__ = ["app", "run"]
