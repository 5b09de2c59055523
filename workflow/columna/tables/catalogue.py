"""All tables, by name."""

from columna.tables.columns import COLUMNS
from columna.tables.cord_canal import CORD_CANAL
from columna.tables.discs import DISCS
from columna.tables.endplates import ENDPLATES
from columna.tables.evaluation import EVALUATION, PAIRS, SUMMARY
from columna.tables.level_posterior import LEVEL_POSTERIOR
from columna.tables.measurement_error import AGREEMENT, MEASUREMENT_ERROR
from columna.tables.participants import PARTICIPANTS
from columna.tables.quality import COHORT_DRIFT, COHORT_REFERENCE, QUALITY
from columna.tables.ratings import RATINGS
from columna.tables.scans import SCANS
from columna.tables.schema import Table
from columna.tables.spine import SPINE
from columna.tables.structures import STRUCTURES
from columna.tables.vertebrae import VERTEBRAE

MEASURED: dict[str, Table] = {
    t.name: t
    for t in (
        SCANS,
        STRUCTURES,
        VERTEBRAE,
        ENDPLATES,
        DISCS,
        CORD_CANAL,
        SPINE,
        LEVEL_POSTERIOR,
    )
}
"""Tables that the measure stage makes the rows of."""

SHARDED: dict[str, Table] = {**MEASURED, QUALITY.name: QUALITY}
"""Tables that shards hold rows of."""

COHORT_TABLES = (COHORT_REFERENCE, COHORT_DRIFT)
"""Tables about the cohort as a whole, which `collect` makes."""

TABLES: dict[str, Table] = {
    t.name: t for t in (*SHARDED.values(), PARTICIPANTS, RATINGS, *COHORT_TABLES, COLUMNS)
}
"""Tables that are delivered."""

OPTIONAL: dict[str, Table] = {t.name: t for t in (EVALUATION, SUMMARY, PAIRS)}
"""Tables that are delivered as well where the cohort has reference masks."""

ADDED: dict[str, Table] = {t.name: t for t in (AGREEMENT, MEASUREMENT_ERROR)}
"""Tables that commands beside the workflow add: `columna agreement`, `columna twins`."""
