"""Table `ratings`: what people have decided about results, who and when."""

from dataclasses import replace

from columna.domains import DOMAINS
from columna.tables.common import identity_columns
from columna.tables.schema import Column, Table

DECISIONS = {
    "rate": "a domain is good, usable or bad",
    "shift": "all names move by a number of levels",
    "name": "a vertebra is a level",
    "false": "a vertebra is none",
    "exclude": "the views (v_...) leave the scan out",
    "include": "they do not",
}
STATES = {
    "in_force": "it counts",
    "replaced": "somebody decided the same question later",
    "undone": "it was taken back",
}

RATINGS = Table(
    name="ratings",
    title="Ratings and corrections",
    description=(
        "One row for every decision about a scan of the cohort (docs/corrections.md), whether it "
        "is in force or not; no rows where nobody has decided anything. Comments are not among "
        "the columns, since they are free text: they stay in the file of decisions."
    ),
    key=("decision_id",),
    sort=("participant_id", "session_id", "scan_id", "decided_at", "decision_id"),
    columns=tuple(
        replace(column, since_version="1.4.0")
        for column in (
            *identity_columns(),
            Column("decision_id", "string", "Id of the decision.", nullable=False),
            Column("decided_at", "string", "When: ISO 8601, UTC.", nullable=False),
            Column("rater", "string", "Who: a handle that the group chose.", nullable=False),
            Column("decision", "category", "What kind.", codes=DECISIONS, nullable=False),
            Column("state", "category", "Whether it counts.", codes=STATES, nullable=False),
            Column(
                "domain", "category", "What is rated.", codes=DOMAINS, null_rule="it is no rating"
            ),
            Column(
                "review_position",
                "int32",
                "The vertebra, as in the table vertebrae.",
                null_rule="it is not about one vertebra",
            ),
            Column(
                "value",
                "string",
                "Rating (good, usable, bad), number of levels caudally, or level.",
                null_rule="the kind says all",
            ),
            Column("reason", "string", "Code of a reason.", null_rule="none was given"),
            Column(
                "undone_by", "string", "Who took it back first.", null_rule="it was not taken back"
            ),
            Column("undone_at", "string", "When.", null_rule="it was not taken back"),
        )
    ),
)
