"""Short forms for the declaration of measured columns."""

from collections.abc import Mapping
from dataclasses import replace

from columna.tables.common import LEVEL_CODES, STATUS
from columna.tables.schema import Column, Range

Ranges = Range | Mapping[str, Range] | None
Tiers = str | Mapping[str, str] | None


def regional(cervical: Range, thoracic: Range, lumbar: Range) -> dict[str, Range]:
    """Plausible ranges by region."""
    return {"cervical": cervical, "thoracic": thoracic, "lumbar": lumbar}


def measure(
    name: str,
    description: str,
    plausible: Ranges = None,
    tier: Tiers = None,
    definition: str | None = None,
    sign: str | None = None,
) -> Column:
    """A float column that may be missing; `in_group` or `missing_if` says when."""
    return Column(
        name,
        "float64",
        description,
        plausible=plausible,
        reliability=tier,
        definition=definition,
        sign=sign,
    )


def count(name: str, description: str) -> Column:
    """A whole number that may be missing."""
    return Column(name, "int32", description)


def status_column(name: str, description: str) -> Column:
    """The column that says why a group of measures is missing."""
    return Column(name, "category", description, codes=STATUS, nullable=False)


def level_column(name: str, description: str) -> Column:
    """The name of a level that may be missing."""
    return Column(name, "category", description, codes=LEVEL_CODES)


def in_group(status: str, rule: str, *columns: Column) -> tuple[Column, ...]:
    """`columns` are present exactly where `status` is ok; `rule` says when it is not."""
    return tuple(replace(c, status=status, required=True, null_rule=rule) for c in columns)


def missing_if(rule: str, *columns: Column, status: str | None = None) -> tuple[Column, ...]:
    """`columns` are missing on their own account, as `rule` says; `status` may say more."""
    return tuple(replace(c, status=status, null_rule=rule) for c in columns)


def since(version: str, *columns: Column) -> tuple[Column, ...]:
    """`columns` of a table that came with a version of the schema."""
    return tuple(replace(c, since_version=version) for c in columns)
