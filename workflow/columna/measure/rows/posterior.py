"""Rows of the table `level_posterior`."""

from collections.abc import Sequence

from columna.measure.context import MeasureContext
from columna.tables.finish import finish_row
from columna.tables.level_posterior import LEVEL_POSTERIOR
from columna.tables.schema import Row


def posterior_rows(context: MeasureContext, vertebrae: Sequence[Row]) -> list[Row]:
    """All names of every vertebra, by its row in the table `vertebrae`."""
    name_of = {row["spineps_label"]: row["vertebra"] for row in vertebrae}
    return [
        finish_row(
            LEVEL_POSTERIOR,
            context.identity
            | {"vertebra": name_of[v.label], "place_from_top": v.position}
            | {"name_rank": rank, "level": level, "p_ratio": p},
        )
        for v in context.vertebrae
        if v.label in name_of
        for rank, (level, p) in enumerate(v.posterior.items(), start=1)
    ]
