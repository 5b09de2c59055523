"""Short forms for the declaration of measured columns."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from columna.tables.common import LEVEL_CODES, SAGITTAL_CODES, STATUS
from columna.tables.schema import Column, Range

T = TypeVar("T", Range, str)
Ranges = Range | Mapping[str, Range] | None
Tiers = str | Mapping[str, str] | None


def regional(cervical: T, thoracic: T, lumbar: T) -> dict[str, T]:
    """Plausible ranges, or tiers, by region."""
    return {"cervical": cervical, "thoracic": thoracic, "lumbar": lumbar}


def measure(
    name: str,
    description: str,
    plausible: Ranges = None,
    tier: Tiers = None,
    definition: str | None = None,
    sign: str | None = None,
    formula: Callable[..., float] | None = None,
) -> Column:
    """A float column that may be missing; `in_group` or `with_status` says when.

    With a `formula` it needs no code elsewhere (`Column.formula`).
    """
    return Column(
        name,
        "float64",
        description,
        plausible=plausible,
        reliability=tier,
        definition=definition,
        sign=sign,
        formula=formula,
    )


def count(
    name: str, description: str, plausible: Ranges = None, definition: str | None = None
) -> Column:
    """A whole number that may be missing."""
    return Column(name, "int32", description, plausible=plausible, definition=definition)


def text(name: str, description: str, definition: str | None = None) -> Column:
    """A string that may be missing."""
    return Column(name, "string", description, definition=definition)


def flag(name: str, description: str, definition: str | None = None) -> Column:
    """A yes or no that may be missing."""
    return Column(name, "bool", description, definition=definition)


def category(
    name: str, description: str, codes: Mapping[str, str], definition: str | None = None
) -> Column:
    """A string of the closed list `codes` that may be missing."""
    return Column(name, "category", description, codes=codes, definition=definition)


def required(*columns: Column) -> tuple[Column, ...]:
    """`columns`, which are there in every row."""
    return tuple(replace(c, nullable=False) for c in columns)


def from_source(source: str, *columns: Column) -> tuple[Column, ...]:
    """`columns`, whose values come from `source`."""
    return tuple(replace(c, source=source) for c in columns)


def status_column(
    name: str, description: str, within: str | None = None, definition: str | None = None
) -> Column:
    """The column that says why a group of measures is missing."""
    return Column(
        name,
        "category",
        description,
        codes=STATUS,
        nullable=False,
        within=within,
        definition=definition,
    )


def level_column(name: str, description: str) -> Column:
    """The name of a level that may be missing."""
    return Column(name, "category", description, codes=LEVEL_CODES)


def in_group(status: str, rule: str, *columns: Column) -> tuple[Column, ...]:
    """`columns` are there exactly where `status` is ok; `rule` says when it is not."""
    return tuple(replace(c, status=status, null_rule=rule) for c in columns)


def with_status(
    status: str, rule: str, *columns: Column, within: str | None = None
) -> tuple[Column, ...]:
    """A status column and the `columns` that it governs.

    Parameters
    ----------
    status
        Its name; it came with schema version 1.2.0.
    rule
        When the columns are missing.
    columns
        Measures that are there, or missing for the same reason, together.
    within
        Status of what they are made from (`Column.within`).
    """
    names = ", ".join(c.name for c in columns)
    own = replace(status_column(status, f"{names}.", within), since_version="1.2.0")
    return (own, *in_group(status, rule, *columns))


def predicted_dice_columns(stem: str, of: str) -> tuple[Column, ...]:
    """Expected Dice of a structure and its lower bound (docs/predicted-quality.md)."""
    return since(
        "1.3.0",
        *with_status(
            f"{stem}_dice_status",
            "it was not found, or the masks were given",
            measure(
                f"{stem}_dice_expected_ratio",
                f"Dice with the truth that {of} probably has, predicted without a reference.",
                (0, 1),
            ),
            measure(
                f"{stem}_dice_lower_ratio",
                "Lower bound of that Dice, which nine in ten keep (scans: dice_calibration).",
                (0, 1),
            ),
        ),
    )


def sagittal(*columns: Column) -> tuple[Column, ...]:
    """`columns` of the sagittal plane: they are there, too, where the sides are cut off."""
    return tuple(
        replace(c, value_codes=SAGITTAL_CODES) if c.codes == STATUS else c for c in columns
    )


def since(version: str, *columns: Column) -> tuple[Column, ...]:
    """`columns`; those that do not say which version of the schema they came with say `version`."""
    first = Column.since_version
    return tuple(
        replace(c, since_version=version) if c.since_version == first else c for c in columns
    )
