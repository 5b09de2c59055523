"""Rows that fit their table, whatever columns it has: what a test does not say is filled in."""

from columna.tables.common import STATUS
from columna.tables.rows import finish_row

PLAIN = {"bool": False, "int32": 1, "float64": 1.0, "string": "x"}
OTHER_STATUS = "not_segmented"


def fitting_row(table, **values):
    """A row of `table`: groups whose required columns are all given are ok, others are not."""
    row = {}
    for column in table:
        if not column.nullable and column.name not in values:
            row[column.name] = PLAIN.get(column.type) or next(iter(column.codes), False)
    for status, required in table.groups().items():
        if dict(table[status].codes) == dict(STATUS) and status not in values:
            is_complete = all(values.get(name) is not None for name in required)
            row[status] = "ok" if is_complete else OTHER_STATUS
    return finish_row(table, row | values)
