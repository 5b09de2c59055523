"""All tables, by name."""

from columna.tables.columns import COLUMNS
from columna.tables.scans import SCANS
from columna.tables.schema import Table
from columna.tables.structures import STRUCTURES
from columna.tables.vertebrae import VERTEBRAE

MEASURED: dict[str, Table] = {t.name: t for t in (SCANS, STRUCTURES, VERTEBRAE)}
"""Tables that shards hold rows of."""

TABLES: dict[str, Table] = {**MEASURED, COLUMNS.name: COLUMNS}
"""Tables that are delivered."""
