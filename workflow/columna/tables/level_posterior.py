"""Table `level_posterior`: how probable every name of every vertebra is."""

from columna.tables.common import NAME_CODES, identity_columns
from columna.tables.measures import category, count, measure, required, since, text
from columna.tables.schema import Table

IDENTITY = ("participant_id", "session_id", "scan_id")

LEVEL_POSTERIOR = Table(
    name="level_posterior",
    title="Probabilities of level names",
    description=(
        "One row per vertebra found (fragments included) and name with a probability of at least "
        "0.001, whether the vertebra has a name or not: for analyses that weight by it. Vertebrae "
        "whose names were given, or assumed, have no rows."
    ),
    key=("scan_id", "vertebra", "level"),
    sort=(*IDENTITY, "place_from_top", "name_rank", "vertebra", "level"),
    columns=since(
        "1.3.0",
        *identity_columns(),
        *required(
            text("vertebra", "As in the table vertebrae."),
            count("place_from_top", "1 = topmost instance, fragments included."),
            count("name_rank", "1 = the most probable name."),
            category("level", "Name.", NAME_CODES),
            measure("p_ratio", "Its probability.", (0, 1)),
        ),
    ),
)
