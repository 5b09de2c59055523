"""A vertebra against its neighbours (docs/measures.md#comparison-with-neighbours)."""

from statistics import median

import numpy as np

from columna.measure.tools.robust import huber_fit
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import Missing
from columna.tables.schema import Row

REACH = 4
"""Levels up and down that the expected height comes from."""
LEAST_NEIGHBOURS = 4
_EACH_SIDE = 2
_PARABOLA = 6
_HUBER_MM = 1.0
GENANT_PCT = (20.0, 25.0, 40.0)
"""Loss above which the surrogate grade is 1, 2 and 3."""
BANDS = ("anterior", "middle", "posterior")


def add_neighbour_columns(rows: list[Row], has_grade: bool) -> None:
    """Add crush ratio, height losses and grade to rows in craniocaudal order, in place.

    Parameters
    ----------
    rows
        Rows of the vertebrae found; those with heights are compared, cut at a side or not.
    has_grade
        Whether the surrogate of Genant's grade is wanted.
    """
    measured = [i for i, row in enumerate(rows) if row.get("height_posterior_mm") is not None]
    for place in measured:
        row = rows[place]
        row["crush_neighbours_ratio"] = _crush_ratio(rows, measured, place)
        for band in BANDS:
            row[f"height_loss_{band}_pct"] = _loss_pct(rows, measured, place, band)
        row["genant_like_grade"] = _grade(row) if has_grade else Missing("disabled")


def _crush_ratio(rows: list[Row], measured: list[int], place: int) -> float | Missing:
    """Posterior height over that of the nearest complete vertebrae above and below, in between."""
    above = [i for i in measured if i < place]
    below = [i for i in measured if i > place]
    if not above or not below:
        return Missing("neighbour_missing")
    ends = (above[-1], below[0])
    expected = np.interp(place, ends, [rows[i]["height_posterior_mm"] for i in ends])
    return float(rows[place]["height_posterior_mm"] / expected)


def _loss_pct(rows: list[Row], measured: list[int], place: int, band: str) -> float | Missing:
    """Percent that a height lacks of what the vertebrae around it lead one to expect."""
    near = [i for i in measured if i != place and abs(i - place) <= REACH]
    if len(near) < LEAST_NEIGHBOURS:
        return Missing("neighbour_missing")
    x = np.array(near, float) - place
    # a parabola must not be drawn on beyond its data: at the ends a straight line
    has_both = min((x < 0).sum(), (x > 0).sum()) >= _EACH_SIDE and len(near) >= _PARABOLA
    design = np.vander(x, 3 if has_both else 2, increasing=True)
    fit = huber_fit(design, np.array([rows[i][f"height_{band}_mm"] for i in near]), _HUBER_MM)
    if fit is None:
        return Missing("fit_failed")
    return float(100 * (1 - rows[place][f"height_{band}_mm"] / fit.coefficients[0]))


def _grade(row: Row) -> int | Missing:
    losses = [row[f"height_loss_{band}_pct"] for band in BANDS]
    lack = next((loss for loss in losses if isinstance(loss, Missing)), None)
    if lack is not None:
        return lack
    return int(np.searchsorted(GENANT_PCT, max(losses), side="right"))


def add_visible_fraction(rows: list[Row], visible: list[int]) -> None:
    """Compare cut bodies with their two nearest complete neighbours, in place.

    `visible` are the voxels of the body of each row; 0 where it has none.
    """
    complete = [i for i, row in enumerate(rows) if row["body_status"] == "ok"]
    for place, row in enumerate(rows):
        nearest = sorted(complete, key=lambda other: abs(other - place))[:2]
        if row["presence"] == "duplicate":
            row["visible_fraction_ratio"] = Missing("duplicate_label")
        elif row["presence"] not in ("partial", LATERAL_CUT):
            row["visible_fraction_ratio"] = Missing("not_applicable")
        elif visible[place] and len(nearest) == 2:
            whole = median(visible[other] for other in nearest)
            row["visible_fraction_ratio"] = visible[place] / whole
        elif visible[place]:
            row["visible_fraction_ratio"] = Missing("neighbour_missing")
