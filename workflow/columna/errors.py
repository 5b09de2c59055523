"""The errors that columna raises on purpose.

Everything else that escapes from a stage is a defect (reported as ``failed``) or a machine
failure (out of memory, disk full: the job ends and Snakemake retries it).
"""


class ColumnaError(Exception):
    """Base of all errors whose message is meant for the person who runs columna."""


class ScanRefused(ColumnaError):  # noqa: N818 - an answer about a scan, not a mishap
    """One scan cannot be processed; the cohort goes on without it.

    Parameters
    ----------
    code
        A code of ``resources/reasons.tsv``, for machines.
    reason
        One sentence for a person: what is wrong and what to do about it.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ModelError(ColumnaError):
    """A model folder is incomplete, unsafe or does not fit its configuration."""


class ConfigError(ColumnaError):
    """The configuration holds an unknown key or a value that cannot be."""


class CohortError(ColumnaError):
    """The cohort sheet, the BIDS folder or the ledger cannot be used."""


class TableError(ColumnaError):
    """Rows do not fit the schema of their table."""


class StaleError(ColumnaError):
    """Something that a stage reads is not what the stages before it saw: the job ends.

    The next run notices the change while it plans, and begins with the first stage concerned.
    """


class BusyError(ColumnaError):
    """Another run is at work in the same results folder."""
