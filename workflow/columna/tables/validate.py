"""Check an Arrow table against the declaration of its table."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from columna.errors import TableError
from columna.tables.schema import Column, Table


def conform(table: Table, data: pa.Table, schema: pa.Schema | None = None) -> pa.Table:
    """Bring `data` into the types of `table` and check everything that one row can tell.

    Parameters
    ----------
    table
        The declaration.
    data
        Columns of the right names, in any order, with plain or dictionary-encoded strings.
    schema
        Arrow schema of the result, default ``table.arrow_schema()``.

    Returns
    -------
    pa.Table
        Same rows; categories hold the dictionary of all their codes, in declared order.

    Raises
    ------
    TableError
        Naming table, column and first offending key: a missing or unknown column, another type,
        NULL where none may be, NaN or infinity, an unknown code, a status that does not fit.
    """
    schema = schema or table.arrow_schema()
    _check_names(table, data)
    arrays = [_conform_column(table, column, data) for column in table]
    conformed = pa.Table.from_arrays(arrays, schema=schema)
    for status, governed in table.groups.items():
        _check_status(table, conformed, status, governed)
    return conformed


def check_unique(table: Table, data: pa.Table) -> None:
    """Raise TableError if two rows of `data` have the same key."""
    counts = data.select(list(table.key)).group_by(list(table.key)).aggregate([([], "count_all")])
    repeated = counts.filter(pc.greater(counts["count_all"], pa.scalar(1)))
    if repeated.num_rows:
        values = repeated.select(list(table.key)).slice(0, 1).to_pylist()[0].values()
        raise TableError(f"{table.name}: duplicate key {key_text(table.key, values)}")


def key_text(key: Sequence[str], values: Iterable[Any]) -> str:
    """Key of a row, for messages."""
    return ", ".join(f"{name}={value!r}" for name, value in zip(key, values, strict=True))


def _check_names(table: Table, data: pa.Table) -> None:
    missing = [n for n in table.names if n not in data.column_names]
    unknown = [n for n in data.column_names if n not in table.names]
    if missing or unknown:
        raise TableError(f"{table.name}: missing columns {missing}, unknown columns {unknown}")


def _conform_column(table: Table, column: Column, data: pa.Table) -> pa.Array:
    array = _in_one_piece(data[column.name])
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if not column.nullable and array.null_count:
        _refuse(table, column, data, pc.is_null(array), "NULL")
    if column.type == "category":
        return _encode(table, column, data, array)
    try:
        array = array.cast(column.arrow_type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(f"{table.name}.{column.name}: not {column.type}: {error}") from error
    if column.type == "float64":
        _refuse(table, column, data, pc.invert(pc.is_finite(array)), "NaN or infinite")
    return array


def _in_one_piece(chunked: pa.ChunkedArray) -> pa.Array:
    """All values of a column (pyarrow leaves some types in several chunks, even combined)."""
    array: pa.Array | pa.ChunkedArray = chunked.combine_chunks()
    if isinstance(array, pa.Array):
        return array
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)


def _encode(table: Table, column: Column, data: pa.Table, array: pa.Array) -> pa.DictionaryArray:
    codes = pa.array(list(column.codes), pa.string())
    indices = pc.index_in(array.cast(pa.string()), codes)
    unknown = pc.and_(pc.is_null(indices), pc.is_valid(array))
    _refuse(table, column, data, unknown, "not one of the codes")
    return pa.DictionaryArray.from_arrays(indices, codes)


def _check_status(table: Table, data: pa.Table, status: str, governed: Sequence[str]) -> None:
    codes = pa.array(table[status].value_codes, pa.string())
    has_value = pc.is_in(data[status].cast(pa.string()), codes)
    for name in governed:
        wrong = pc.xor(pc.is_valid(data[name]), has_value)
        _refuse(
            table, table[name], data, wrong, f"present although {status} says otherwise, or not"
        )


def _refuse(
    table: Table, column: Column, data: pa.Table, wrong: pa.Array | pa.ChunkedArray, what: str
) -> None:
    """Raise TableError if any row is `wrong`, naming the first."""
    first = pc.index(wrong, True).as_py()
    if first < 0:
        return
    value = data[column.name][first].as_py()
    key = key_text(table.key, [data[name][first].as_py() for name in table.key])
    raise TableError(f"{table.name}.{column.name}: {what} ({value!r}) in the row {key}")
