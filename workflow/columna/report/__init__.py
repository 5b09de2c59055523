"""The report: a folder of pages that opens from disk, without a server (docs/report.md)."""

from columna.report.build import write_report

__all__ = ["write_report"]
