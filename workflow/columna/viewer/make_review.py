"""A review from what the command line says."""

import getpass
from pathlib import Path

from columna.errors import ColumnaError, DecisionError
from columna.results.layout import Layout
from columna.review.decisions import INCLUDE, Decision, read_decisions
from columna.viewer.desk import Desk
from columna.viewer.review_pages import Review
from columna.viewer.reviewed_scans import read_scans
from columna.viewer.worklist import doubtful_first, random_sample


def make_review(
    layout: Layout,
    file: Path,
    rater: str | None,
    is_blinded: bool,
    sample: tuple[int, int] | None,
) -> Review:
    """A review of a run.

    Parameters
    ----------
    layout
        The run; its tables and its report are there.
    file
        Decisions; it may not be there yet.
    rater
        Who rates; None: the login name.
    is_blinded
        Whether decisions of others are hidden.
    sample
        How many scans at random, and the seed; None: all, doubtful first.

    Raises
    ------
    ColumnaError
        If tables are not there or damaged, decisions cannot be read, or the rater's handle cannot
        be used.
    """
    scans = read_scans(layout)
    if file.exists():
        read_decisions(file)
    desk = Desk(file, rater or _login(), is_blinded)
    try:
        Decision.made("any", INCLUDE, desk.rater)
    except DecisionError as error:
        raise ColumnaError(f"{error}; name another one with --rater") from error
    if sample is None:
        work, title = doubtful_first(scans.values()), "All measured scans, doubtful ones first."
    else:
        work = random_sample(scans.values(), *sample)
        title = f"{len(work)} measured scans at random (seed {sample[1]})."
    return Review(layout, scans, [scan.scan_id for scan in work], desk, title)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise ColumnaError("this account has no name: say who rates with --rater") from error
