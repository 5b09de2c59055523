"""Why something is missing: the codes of ``resources/reasons.tsv``, each with a sentence."""

import csv
from functools import cache

from columna.anatomy import RESOURCES


@cache
def reason_table() -> dict[str, dict[str, str]]:
    """Code -> row of ``resources/reasons.tsv``."""
    with open(RESOURCES / "reasons.tsv", newline="", encoding="utf-8") as stream:
        return {row["code"]: row for row in csv.DictReader(stream, delimiter="\t")}


def reasons_of(*stages: str) -> dict[str, str]:
    """Code -> meaning, of the codes that one of `stages` gives."""
    return {
        code: row["meaning"]
        for code, row in reason_table().items()
        if set(stages) & set(row["stage"].split(","))
    }
