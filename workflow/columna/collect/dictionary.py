"""The data dictionary in its machine-readable forms, all made from the declared tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from columna.tables.columns import COLUMNS
from columna.tables.finish import finish_row
from columna.tables.schema import REGIONS, SCHEMA_VERSION, Column, Table

_FRICTIONLESS_TYPES = {
    "string": "string",
    "category": "string",
    "bool": "boolean",
    "int32": "integer",
    "float64": "number",
}


def dictionary_rows(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Rows of the table `columns`, one per column of `tables`."""
    rows = (
        finish_row(COLUMNS, _dictionary_row(table, place, column))
        for table in tables
        for place, column in enumerate(table, start=1)
    )
    return sorted(rows, key=lambda row: (row["table"], row["position"]))


def _dictionary_row(table: Table, place: int, column: Column) -> dict[str, Any]:
    regional: dict[str, Any] = {}
    for region in REGIONS:
        low, high = column.plausible_range(region) or (None, None)
        regional[f"plausible_low_{region}"] = low
        regional[f"plausible_high_{region}"] = high
        regional[f"reliability_{region}"] = column.tier(region)
    return regional | {
        "table": table.name,
        "position": place,
        "column": column.name,
        "type": column.type,
        "unit": column.unit,
        "description": column.description,
        "is_key": column.name in table.key,
        "is_nullable": column.nullable,
        "null_rule": column.null_rule or None,
        "codes": ";".join(column.codes) or None,
        "definition_id": column.definition,
        "status_column": column.status,
        "value_codes": ";".join(column.value_codes) if column.name in table.groups else None,
        "sign_convention": column.sign,
        "source": column.source,
        "since_version": column.since_version,
        "is_default": column.is_default,
    }


def sidecar(table: Table, own: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Describe a table as BIDS does in ``<table>.json``; `own` entries of columns win."""
    own = own or {}
    return {c.name: _sidecar_entry(c) | dict(own.get(c.name, {})) for c in table}


def _sidecar_entry(column: Column) -> dict[str, Any]:
    entry = {
        "LongName": column.name.replace("_", " "),
        "Description": column.description,
        "Units": column.unit,
        "Levels": dict(column.codes),
        "MissingWhen": column.null_rule,
        "StatusColumn": column.status,
        "SignConvention": column.sign,
        "DerivedFrom": column.source,
        "SinceVersion": column.since_version,
    }
    return {key: value for key, value in entry.items() if value}


def data_package(
    tables: Iterable[Table], provenance: Mapping[str, str], ending: str = "parquet"
) -> dict[str, Any]:
    """Describe all tables as a Frictionless data package (``datapackage.json``).

    Parameters
    ----------
    tables
        The delivered tables.
    provenance
        Facts on the run that made them, for example pipeline_version and config_sha256.
    ending
        Of the files: ``parquet`` or ``csv.gz``.
    """
    tables = list(tables)
    names = {table.name for table in tables}
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "columna-tables",
        "version": SCHEMA_VERSION,
        "provenance": dict(provenance),
        "resources": [_resource(table, ending, names) for table in tables],
    }


_FORMATS = {
    "parquet": {"format": "parquet", "mediatype": "application/vnd.apache.parquet"},
    "csv.gz": {"format": "csv", "compression": "gz", "mediatype": "text/csv"},
}


def _resource(table: Table, ending: str, names: set[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "fields": [_frictionless_field(column) for column in table],
        "primaryKey": list(table.key),
    }
    if "scan_id" in table.names and "scans" in names - {table.name}:
        reference = {"resource": "scans", "fields": ["scan_id"]}
        schema["foreignKeys"] = [{"fields": ["scan_id"], "reference": reference}]
    return {
        "name": table.name,
        "title": table.title,
        "description": table.description,
        "path": f"{table.name}.{ending}",
        **_FORMATS[ending],
        "schema": schema,
    }


def _frictionless_field(column: Column) -> dict[str, Any]:
    # plausible ranges are no constraints: values outside are kept, and would fail validation
    # and texts may be empty, which CSV cannot tell from missing
    is_required = not column.nullable and column.type != "string"
    constraints: dict[str, Any] = {"required": True} if is_required else {}
    if column.codes:
        constraints["enum"] = list(column.codes)
    field = {
        "name": column.name,
        "type": _FRICTIONLESS_TYPES[column.type],
        "description": column.description,
        "unit": column.unit,
        "constraints": constraints,
    }
    return {key: value for key, value in field.items() if value}
