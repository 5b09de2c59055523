"""What a column and a table are: one object from which types, checks and documents are made.

The rules of names, units and rounding are those of every columna table: snake_case, a unit as the
suffix of each measure, at most 32 characters (Stata and SAS), flat primitive types, float64 with a
fixed number of decimals per unit, NULL for every missing value.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import pyarrow as pa

SCHEMA_VERSION = "1.4.0"
"""Raised whenever a column is added, dropped or redefined in any table."""

ColumnType = Literal["string", "category", "bool", "int32", "float64"]
Range = tuple[float | None, float | None]
Row = dict[str, Any]
"""One row of a table while it is made, by column name."""
REGIONS = ("cervical", "thoracic", "lumbar")

DECIMALS = {"mm": 3, "mm2": 2, "mm3": 1, "deg": 2, "1": 4, "%": 2, "a.u.": 3, "s": 6, "T": 4}
"""Unit -> decimals that are kept."""

_SUFFIXES = {
    "mm": "mm",
    "mm2": "mm2",
    "mm3": "mm3",
    "deg": "deg",
    "ratio": "1",
    "pct": "%",
    "au": "a.u.",
    "s": "s",
    "t": "T",
    "n": "count",
}


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name, type, description
        `category` is a string of a closed list (`codes`), dictionary-encoded in files.
    codes
        Allowed values of a category, each with its meaning.
    nullable
        Whether the value may be missing; `null_rule` says when it is.
    status
        Name of the column that says why the value is missing: it is there exactly where that
        column holds one of its `value_codes`.
    value_codes
        For a status column: the codes under which its values are there.
    within
        For a status column: the status column of what its values are made from. Where that has
        no values, this one takes over its code.
    plausible
        Lowest and highest plausible value, one range or one per region; values outside are kept
        and counted in ``n_implausible_n``.
    reliability
        Tier A, B or C at 3.3 mm slices (phantom study, docs/tables.md), one or one per region.
    definition
        The geometric definition (G1 to G15 of docs/measures.md) that the value follows.
    sign
        What positive values mean.
    digits
        Decimals that are kept of a float whose unit is in no suffix; none: those of the unit.
    at_collect
        Whether the value is known only when the rows of all scans are there: shards lack it.
    formula
        How the value follows from other columns of its row, which name the parameters. Where one
        of them is missing, the value is missing for the same reason.
    """

    name: str
    type: ColumnType
    description: str
    codes: Mapping[str, str] = field(default_factory=dict)
    nullable: bool = True
    null_rule: str = ""
    status: str | None = None
    value_codes: tuple[str, ...] = ("ok",)
    within: str | None = None
    plausible: Range | Mapping[str, Range] | None = None
    reliability: str | Mapping[str, str] | None = None
    definition: str | None = None
    sign: str | None = None
    source: str = "columna"
    since_version: str = "1.0.0"
    is_default: bool = True
    digits: int | None = None
    at_collect: bool = False
    formula: Callable[..., float] | None = None

    def __post_init__(self) -> None:
        """Freeze the codes; only categories have any."""
        object.__setattr__(self, "codes", MappingProxyType(dict(self.codes)))
        if (self.type == "category") != bool(self.codes):
            raise ValueError(f"{self.name}: categories, and only they, list their codes")

    @property
    def unit(self) -> str | None:
        """Unit of measures and counts, by the suffix of the name; None for all other columns."""
        if self.type not in ("float64", "int32"):
            return None
        return _SUFFIXES.get(self.name.rsplit("_", 1)[-1])

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """Columns that the formula takes; none without a formula."""
        return tuple(inspect.signature(self.formula).parameters) if self.formula else ()

    @property
    def decimals(self) -> int:
        """Decimals that are kept of a float."""
        return DECIMALS[self.unit or "1"] if self.digits is None else self.digits

    @property
    def arrow_type(self) -> pa.DataType:
        """Type in Arrow and Parquet."""
        if self.type == "category":
            return pa.dictionary(pa.int32(), pa.string())
        plain: dict[ColumnType, pa.DataType] = {
            "string": pa.string(),
            "bool": pa.bool_(),
            "int32": pa.int32(),
            "float64": pa.float64(),
        }
        return plain[self.type]

    def plausible_range(self, region: str | None) -> Range | None:
        """Plausible range in a region; None where there is none (or the region is unknown)."""
        return by_region(self.plausible, region)

    def tier(self, region: str | None) -> str | None:
        """Reliability tier in a region."""
        return by_region(self.reliability, region)


def by_region(value: Any, region: str | None) -> Any:
    """`value` itself, or its entry for `region` where it is given per region."""
    return value.get(region) if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Table:
    """One table: its columns, the key that is unique, and the order of its rows."""

    name: str
    title: str
    description: str
    key: tuple[str, ...]
    sort: tuple[str, ...]
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself."""
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is declared twice")
        statuses = (c.status for c in self.columns if c.status)
        operands = (name for c in self.columns for name in c.operands)
        missing = {*self.key, *self.sort, *statuses, *operands} - {*names}
        if missing:
            raise ValueError(f"{self.name}: unknown columns {sorted(missing)}")
        for place, column in enumerate(self.columns):
            if column.formula and not column.status:
                raise ValueError(f"{self.name}: no status says why {column.name} may be missing")
            if column.within and column.within not in names[:place]:
                raise ValueError(f"{self.name}: {column.within} must come before {column.name}")

    def __getitem__(self, name: str) -> Column:
        """Return a column by name."""
        return self._by_name[name]

    def status_of(self, name: str) -> str:
        """Name of the column that says why a column may be missing; KeyError where none does."""
        status = self[name].status
        if status is None:
            raise KeyError(f"{self.name}.{name} has no status column")
        return status

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def __iter__(self) -> Iterator[Column]:
        """Iterate over the columns, in order."""
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(c.name for c in self.columns)

    @cached_property
    def shard(self) -> "Table":
        """The table as shards hold it."""
        return replace(self, columns=tuple(c for c in self.columns if not c.at_collect))

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Status column -> the columns that it governs, in order of the status columns."""
        return {
            status.name: tuple(c.name for c in self.columns if c.status == status.name)
            for status in self.columns
            if any(c.status == status.name for c in self.columns)
        }

    def arrow_schema(
        self, pipeline_version: str | None = None, config_sha256: str | None = None
    ) -> pa.Schema:
        """Arrow schema; fields carry unit, description, tier and version, the schema its origin."""
        metadata: dict[str | bytes, str | bytes] = {
            "table": self.name,
            "schema_version": SCHEMA_VERSION,
        }
        if pipeline_version is not None:
            metadata["pipeline_version"] = pipeline_version
        if config_sha256 is not None:
            metadata["config_sha256"] = config_sha256
        return pa.schema([_arrow_field(c) for c in self.columns], metadata)


def _arrow_field(column: Column) -> pa.Field:
    metadata = {
        "unit": column.unit or "",
        "description": column.description,
        "tier": tiers_text(column),
        "version": column.since_version,
    }
    return pa.field(column.name, column.arrow_type, column.nullable, metadata)


def tiers_text(column: Column) -> str:
    """Reliability as text: ``A``, or one tier per region."""
    if isinstance(column.reliability, Mapping):
        return ", ".join(f"{region} {tier}" for region, tier in column.reliability.items())
    return column.reliability or ""
