"""Rules about canal and cord: each site against those above and below it along the canal."""

from collections.abc import Iterator, Sequence

import numpy as np

from columna.assess.finding import Finding, found
from columna.assess.quality_context import MeasuredRow, QualityContext
from columna.tables.cord_canal import CORD_CANAL

RULES = {"canal_area_step": "canal_area_mm2", "cord_area_step": "cord_area_mm2"}
"""Rule -> column of the table `cord_canal`."""
SITES = ("mid_body", "disc")
"""The sites that follow one another; the site `level` covers both."""
REACH = 2
"""So many sites up and down are compared with."""


def canal_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about canal and cord, one finding per vertebra."""
    chain = _chain(context)
    for rule_id, column in RULES.items():
        steps = dict(_steps([row[column] for row in chain]))
        for vertebra in context.vertebrae:
            name = vertebra["vertebra"]
            places = [i for i, row in enumerate(chain) if row["vertebra"] == name]
            own = [steps[i] for i in places if i in steps]
            if own:
                # of all sites of the vertebra, the farthest from 1
                yield found(rule_id, max(own, key=lambda step: abs(np.log(step))), item=name)
            else:
                yield found(rule_id, None, _lack([chain[i] for i in places], column), name)


def _chain(context: QualityContext) -> list[MeasuredRow]:
    """Rows of the sites from top to bottom; that of the disc above all vertebrae comes first."""
    rows = [row for row in context.rows.get("cord_canal", ()) if row["site"] in SITES]
    is_seen = {row["vertebra"] for row in context.vertebrae}
    above = [
        row for row in rows if row["vertebra"] not in is_seen and row["canal_area_mm2"] is not None
    ]
    seen = [row for row in rows if row["vertebra"] in is_seen]
    return above + sorted(seen, key=lambda r: (r["index_from_top"], SITES.index(r["site"])))


def _steps(areas: Sequence[float | None]) -> Iterator[tuple[int, float]]:
    """Place and ratio to the median around, of areas that have others above and below."""
    for place, area in enumerate(areas):
        sides = areas[max(place - REACH, 0) : place], areas[place + 1 : place + 1 + REACH]
        above, below = ([value for value in side if value] for side in sides)
        if area and above and below:
            yield place, area / float(np.median(above + below))


def _lack(rows: Sequence[MeasuredRow], column: str) -> str:
    """Why none of the sites of a vertebra can be compared."""
    codes = [row[CORD_CANAL.status_of(column)] for row in rows if row[column] is None]
    if len(codes) < len(rows):
        return "neighbour_missing"
    return codes[0] if codes else "not_applicable"
