"""The errors that columna raises on purpose.

Everything else that escapes from a stage is a defect (reported as ``failed``) or a machine
failure (out of memory, disk full: the job ends and Snakemake retries it).
"""

from pathlib import Path


class ColumnaError(Exception):
    """Base of all errors whose message is meant for the user."""


class ScanRefused(ColumnaError):  # noqa: N818 - an answer about a scan, not a mishap
    """One scan cannot be processed; the cohort continues without it.

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


class UnavailableError(ColumnaError):
    """A file of the cohort, or of an earlier stage, cannot be read now.

    The machine is to blame, not the scan: its job fails and is tried again.
    """

    @classmethod
    def of_input(cls, path: Path, error: OSError) -> "UnavailableError":
        """For a file of the cohort, which was there when the cohort was indexed."""
        why = error.strerror or type(error).__name__
        return cls(
            f"{path} cannot be read now ({why}), and could be found by `columna index`. Is its "
            "folder mounted on this machine, and may you read it? If the file is gone for good, "
            "run `columna index` again"
        )


class UnfinishedError(ColumnaError):
    """A batch has scans without an answer, because of the machine or of files that changed."""


class ModelError(ColumnaError):
    """A model folder is incomplete, unsafe or does not fit its configuration."""


class ConfigError(ColumnaError):
    """The configuration holds an unknown key or an impossible value."""


class CohortError(ColumnaError):
    """The cohort sheet, the BIDS folder or the ledger cannot be used."""


class DecisionError(ColumnaError):
    """A decision of a rater, or the file of decisions, cannot be used."""


class TableError(ColumnaError):
    """Rows do not fit the schema of their table."""


class StaleError(ColumnaError):
    """Something that a stage reads is not what the stages before it saw: the scan is postponed.

    The other scans of its batch continue. The next run notices the change while planning, and
    begins with the first stage concerned.
    """


class BusyError(ColumnaError):
    """Another run is working in the same results folder."""
