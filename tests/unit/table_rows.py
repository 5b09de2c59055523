"""Rows that fit their table, whatever columns it has: what a test does not say is filled in."""

from columna.tables.common import STATUS
from columna.tables.finish import finish_row

PLAIN = {"bool": False, "int32": 1, "float64": 1.0, "string": "x"}
OTHER_STATUS = "not_segmented"


def fitting_row(table, **values):
    """A row of `table`: a group of which a value is given is completed, others are missing."""
    row = {}
    for column in table:
        if not column.nullable and column.name not in values:
            row[column.name] = plain(column)
    for status, governed in table.groups.items():
        if dict(table[status].codes) == dict(STATUS) and status not in values:
            is_given = any(values.get(name) is not None for name in governed)
            row[status] = "ok" if is_given else OTHER_STATUS
            if is_given:
                given = (table[name] for name in governed)
                row |= {c.name: plain(c) for c in given if not c.formula}
    return finish_row(table, row | values)


def plain(column):
    """Some value that fits a column."""
    return PLAIN.get(column.type) or next(iter(column.codes), False)
