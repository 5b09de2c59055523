"""Finish a row of a measured table: all columns, rounded floats, implausible values counted."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from columna.errors import TableError
from columna.tables.schema import Column, Table

IMPLAUSIBLE = "n_implausible_n"


def finish_row(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Make `values` a complete row of `table`.

    Columns that `values` leaves out become NULL, floats are rounded as their unit says, and
    values outside their plausible range are counted (never changed).

    Raises
    ------
    TableError
        For a column that the table does not have, or a value that is NaN or infinite.
    """
    unknown = set(values) - set(table.names)
    if unknown:
        raise TableError(f"{table.name}: no such columns: {', '.join(sorted(unknown))}")
    row = {c.name: _plain(table, c, values.get(c.name)) for c in table}
    if IMPLAUSIBLE in row:
        row[IMPLAUSIBLE] = sum(
            is_implausible(c, row[c.name], row.get("region")) for c in table if c.plausible
        )
    return row


def is_implausible(column: Column, value: float | None, region: str | None) -> bool:
    """Whether `value` lies outside the plausible range of `column`."""
    limits = column.plausible_range(region)
    if value is None or limits is None:
        return False
    low, high = limits
    return (low is not None and value < low) or (high is not None and value > high)


def _plain(table: Table, column: Column, value: Any) -> Any:
    """`value` as a plain Python object; floats finite and rounded."""
    if isinstance(value, np.generic):
        value = value.item()
    if column.type != "float64" or value is None:
        return value
    if not math.isfinite(value):
        raise TableError(f"{table.name}.{column.name}: {value} is no value; missing is None")
    # twice: noise of the last bits must not decide how a tie is rounded; + 0.0 turns -0.0 into 0
    return round(round(float(value), column.decimals + 6), column.decimals) + 0.0
