"""Finish a row of a measured table: columns, statuses, rounded floats, implausible values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from columna.errors import TableError
from columna.tables.schema import Column, Table

IMPLAUSIBLE = "n_implausible_n"
UNEXPLAINED = "error"
"""The status of a value that is missing without a reason: a defect of the measuring code."""
NOT_MEASURED = "not_measured"
"""The status of values of a scan that was not measured at all."""
T = TypeVar("T")


@dataclass(frozen=True)
class Missing:
    """What stands in a row for a value that could not be measured.

    Parameters
    ----------
    code
        Why, a code of all ``*_status`` columns; `finish_row` moves it to the status column of the
        value.
    """

    code: str


@dataclass(frozen=True)
class Measured(Generic[T]):
    """A value that is there, and the code that its status column says so with.

    Parameters
    ----------
    value
        The value.
    code
        One of the `value_codes` of its status column, such as ``ok``; `finish_row` moves it there.
    """

    value: T
    code: str


MeasuredValue = Measured[float] | Missing
"""A number with its code, or why there is none."""


def or_missing(value: Any, code: str) -> Any:
    """`value`, or why there is none."""
    return Missing(code) if value is None else value


def finish_row(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Make `values` a complete row of `table`.

    Columns with a formula are computed, others that `values` leaves out become NULL, and the status
    of each group of columns follows from what is there (see `_status`). Floats are rounded as their
    unit says, and values outside their plausible range are counted (never changed).

    Raises
    ------
    TableError
        For a column that the table does not have or computes itself, a value that is NaN or
        infinite, or one that is there although its status says otherwise.
    """
    unknown = set(values) - set(table.names)
    if unknown:
        raise TableError(f"{table.name}: no such columns: {', '.join(sorted(unknown))}")
    computed = [c.name for c in table if c.formula and c.name in values]
    if computed:
        raise TableError(f"{table.name}: a formula computes {', '.join(computed)}")
    settled = _unpacked(table, values)
    for status, governed in table.shard.groups.items():
        followed = [table[name] for name in governed if table[name].formula]
        settled |= {c.name: _computed(table, c, settled) for c in followed}
        settled[status] = _status(table, table[status], governed, settled)
        if settled[status] not in table[status].value_codes:
            settled |= dict.fromkeys(governed)
    row = {c.name: _plain(table, c, settled.get(c.name)) for c in table}
    if IMPLAUSIBLE in row:
        row[IMPLAUSIBLE] = sum(
            is_implausible(c, row[c.name], row.get("region")) for c in table if c.plausible
        )
    return row


def amend_row(table: Table, row: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A finished `row` with `values` in it, rounded and checked as `finish_row` does.

    The other columns stay as they are: values with a formula come from operands before rounding.
    """
    finished = finish_row(table, values)
    return dict(row) | {name: finished[name] for name in values}


def _unpacked(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, with the code of each `Measured` in the status column of its group."""
    plain = dict(values)
    for name, value in values.items():
        if isinstance(value, Measured):
            plain |= {name: value.value, table.status_of(name): value.code}
    return plain


def _computed(table: Table, column: Column, values: Mapping[str, Any]) -> float | Missing | None:
    """Value of the formula of `column`, or why an operand is missing."""
    operands = {name: values.get(name) for name in column.operands}
    for name, value in operands.items():
        if isinstance(value, Missing):
            return value
        if value is None:
            return _said(table, table[name].status, values)
    return column.formula(**operands) if column.formula else None


def _said(table: Table, status: str | None, values: Mapping[str, Any]) -> Missing | None:
    """Why the values of a status column are missing, if it says so already."""
    code = None if status is None else values.get(status)
    if status is None or code is None or code in table[status].value_codes:
        return None
    return Missing(code)


def _status(
    table: Table, column: Column, governed: Sequence[str], values: Mapping[str, Any]
) -> str | None:
    """Why the values of a group are missing, or that they are there.

    The first that applies: what the row says itself; the code of the group that it is made from
    (`Column.within`), where that has no values; the code of a `Missing` in it. The last two hold
    for the whole group. A value that is just not there has the status `UNEXPLAINED`.
    """
    found = [values.get(name) for name in governed]
    code, outer = values.get(column.name), None
    if column.within:
        outer = values.get(column.within)
        if code is None and outer not in table[column.within].value_codes:
            return outer if outer in column.codes else NOT_MEASURED
    if code is not None and code not in column.value_codes:
        _refuse_values(table, governed, found, f"{column.name} is {code}")
        return code
    reasons = [value.code for value in found if isinstance(value, Missing)]
    if reasons:
        return reasons[0]
    if None in found and UNEXPLAINED in column.codes:
        return UNEXPLAINED
    if code is not None:
        return code
    return outer if outer in column.value_codes else column.value_codes[0]


def _refuse_values(table: Table, governed: Sequence[str], found: list[Any], why: str) -> None:
    for name, value in zip(governed, found, strict=True):
        if value is not None and not isinstance(value, Missing):
            raise TableError(f"{table.name}.{name}: there is a value, although {why}")


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
    if isinstance(value, Missing):
        raise TableError(f"{table.name}.{column.name}: no status column can say {value.code!r}")
    if column.type != "float64" or value is None:
        return value
    if not math.isfinite(value):
        raise TableError(f"{table.name}.{column.name}: {value} is no value; missing is None")
    # twice: noise of the last bits must not decide how a tie is rounded; + 0.0 turns -0.0 into 0
    return round(round(float(value), column.decimals + 6), column.decimals) + 0.0
