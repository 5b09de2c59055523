"""The page docs/tables.md, made from the declared tables; ``make docs`` writes it."""

from collections.abc import Mapping

from columna.tables.catalogue import ADDED, OPTIONAL, TABLES
from columna.tables.common import LEVEL_CODES, REGION_CODES, STATUS, VERTEBRA_CODES
from columna.tables.schema import SCHEMA_VERSION, Column, Range, Table, tiers_text

_INTRODUCTION = f"""\
# Tables

<!-- Generated from workflow/columna/tables by `make docs`. -->

Schema version {SCHEMA_VERSION}. One Parquet file per table (zstd, row groups of 122,880 rows),
sorted by participant, session, scan and anatomical level. The same dictionary comes as
`columns.parquet`, as `<table>.json` (BIDS style) and as `datapackage.json` (Frictionless).

## Conventions

* **Missing is NULL**: never NaN, 0, -1 or 999. Every measure names the `*_status` column that
  governs it (`status_column` of `columns.parquet`): the measure is there if and only if that column
  holds one of its value codes (`ok`, and `lateral_cut` where the sagittal plane is enough),
  otherwise the code says why it is missing. What the codes mean, and what to do, is in
  `resources/reasons.tsv`. Only values that the cohort, the sidecar or the run provides (and that
  columna does not measure) have no status: there NULL means that they were not provided.
* **The denominator is in the table**: every input of the cohort has its row in `scans`, every level
  C1 to L5 of every measured scan its row in `vertebrae`.
* **Definitions** G1 to G15 are those of [measures.md](measures.md).
* **Units are in the names**: `_mm`, `_mm2`, `_mm3`, `_deg`, `_ratio` (1), `_pct` (%), `_au`
  (arbitrary, comparable within a scan only), `_s`, `_t` (tesla), `_n` (counts).
* **Nothing is clipped.** Values outside their plausible range are kept; `n_implausible_n` counts
  them per row. The ranges are wide engineering limits, not percentiles.
* **Reliability** is the tier A, B or C at 3.3 mm slices in a phantom study of sampling error alone
  (segmentation error comes on top). Measures within the sagittal plane are A; volumes are B (lumbar
  bodies A); what depends on left-right resolution is C.
* `level_order` is the order of anatomy (T13 between T12 and L1); `spineps_label` is not.
* Positions are in the scanner frame (RAS+, mm), and sizes in mm come from the affine of the scan:
  neither depends on how the voxels are stored.
* **Repeatable to the bit.** A cohort gives the same files if it is interrupted and resumed, in
  other batches or in another order; therefore run times, dates and devices are in the logs only.
"""

_OPTIONAL = """\
# Optional tables

These files are there only where the cohort sheet names reference masks (docs/evaluation.md); then
the dictionary describes them, too. `columna evaluate` writes the same tables for masks of any
program.
"""

_ADDED = """\
# Added tables

`columna agreement` writes `agreement.parquet` wherever it is told to, and `columna twins` writes
`measurement_error.parquet` beside the other tables (docs/evaluation.md). `columna export` takes
what lies there, and the next `collect` describes it in the dictionary.
"""

_SHARED = [dict(STATUS), dict(LEVEL_CODES), dict(VERTEBRA_CODES), dict(REGION_CODES)]
"""Code lists that are not repeated below each table."""


def tables_page() -> str:
    """Text of docs/tables.md."""
    parts = [_INTRODUCTION, _codes_list("Codes of all `*_status` columns of measures", STATUS)]
    parts += [_section(table) for table in TABLES.values()]
    parts += [_OPTIONAL, *(_section(table) for table in OPTIONAL.values())]
    parts += [_ADDED, *(_section(table) for table in ADDED.values())]
    return "\n".join(parts)


def _section(table: Table) -> str:
    lines = [
        f"## {table.name}\n",
        f"{table.description}\n",
        f"Unique key: {_names(table.key)}. Sorted by {_names(table.sort)}.\n",
        "| column | type | unit | definition | NULL when | plausible | tier |",
        "|---|---|---|---|---|---|---|",
        *(_line(column) for column in table),
        "",
    ]
    own = [c for c in table if c.codes and dict(c.codes) not in _SHARED]
    lines.extend(_codes_list(f"`{column.name}`", column.codes) for column in own)
    return "\n".join(lines)


def _line(column: Column) -> str:
    text = " ".join(
        part
        for part in (
            column.description,
            f"{column.sign}." if column.sign else "",
            _definition_link(column),
            f"Status: `{column.status}`." if column.status else "",
        )
        if part
    )
    cells = (
        f"`{column.name}`",
        column.type,
        column.unit or "",
        text,
        column.null_rule if column.nullable else "never",
        _plausible_text(column),
        tiers_text(column),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _definition_link(column: Column) -> str:
    name = column.definition
    return f"([{name}](measures.md#{name.lower()}))" if name else ""


def _plausible_text(column: Column) -> str:
    if isinstance(column.plausible, tuple):
        return _range_text(column.plausible)
    ranges = (column.plausible or {}).items()
    return "; ".join(f"{region} {_range_text(limits)}" for region, limits in ranges)


def _range_text(limits: Range) -> str:
    low, high = ("" if value is None else f"{value:g}" for value in limits)
    return f"{low} to {high}" if high else f">= {low}"


def _codes_list(title: str, codes: Mapping[str, str]) -> str:
    return "\n".join([f"{title}:\n", *(f"* `{code}`: {text}" for code, text in codes.items()), ""])


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
