"""Table `level_posterior`: how probable every name of every vertebra is."""

from columna.tables.common import NAME_CODES, identity_columns
from columna.tables.measures import since
from columna.tables.schema import Column, Table

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
        Column("vertebra", "string", "As in the table vertebrae.", nullable=False),
        Column(
            "place_from_top", "int32", "1 = topmost instance, fragments included.", nullable=False
        ),
        Column("name_rank", "int32", "1 = the most probable name.", nullable=False),
        Column("level", "category", "Name.", codes=NAME_CODES, nullable=False),
        Column("p_ratio", "float64", "Its probability.", nullable=False, plausible=(0, 1)),
    ),
)
