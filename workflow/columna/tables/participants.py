"""Table `participants`: what the cohort itself says of who was scanned, such as age and sex.

Its first columns are declared here; the others are those of the cohort that the configuration lets
through (``participant_columns``), so they are known only when the index is there
(`columna.collect.own_columns`).
"""

from dataclasses import replace

from columna.tables.common import identity_columns
from columna.tables.schema import Table

PARTICIPANTS = Table(
    name="participants",
    title="Participants",
    description=(
        "What the cohort itself says of the participants, one row for every row of `scans` (join "
        "on `scan_id`). Besides the columns below, it has those of the cohort sheet, or of "
        "`participants.tsv` and `sessions.tsv`, that the configuration lets through "
        "(`participant_columns`): by default age, sex, group and site, where the cohort has them. "
        "Columns of plain numbers are float64, all others text; names are in lower case with `_` "
        "for other characters. `participants.json` repeats what the cohort's own JSON file says of "
        "them."
    ),
    key=("scan_id",),
    sort=("participant_id", "session_id", "scan_id"),
    columns=tuple(replace(c, since_version="1.2.0") for c in identity_columns()),
)
