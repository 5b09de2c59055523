"""Table `columns`: the data dictionary as a table."""

from columna.tables.schema import REGIONS, Column, Table


def _text(name: str, description: str, null_rule: str = "") -> Column:
    return Column(name, "string", description, nullable=bool(null_rule), null_rule=null_rule)


def _regional_columns() -> tuple[Column, ...]:
    return (
        *(
            Column(
                f"plausible_{end}_{region}",
                "float64",
                f"{end.capitalize()} end of the plausible range, {region} (in the column's unit).",
                null_rule="no such limit",
            )
            for region in REGIONS
            for end in ("low", "high")
        ),
        *(
            _text(f"reliability_{region}", f"Reliability tier, {region}.", "not rated")
            for region in REGIONS
        ),
    )


COLUMNS = Table(
    name="columns",
    title="Data dictionary",
    description="One row per column of every table.",
    key=("table", "column"),
    sort=("table", "position", "column"),
    columns=(
        _text("table", "Table."),
        Column("position", "int32", "Place of the column in its table, from 1.", nullable=False),
        _text("column", "Column."),
        _text("type", "string, category, bool, int32 or float64."),
        _text("unit", "Unit; 1 = a ratio, count = a number of things.", "no measure"),
        _text("description", "Definition."),
        Column("is_key", "bool", "Whether it is part of the table's key.", nullable=False),
        Column("is_nullable", "bool", "Whether it may be NULL.", nullable=False),
        _text("null_rule", "When it is NULL.", "never NULL"),
        _text("codes", "Allowed codes, separated by ;.", "no category"),
        _text(
            "definition_id", "Geometric definition, G1 to G15 of docs/measures.md.", "none needed"
        ),
        _text("status_column", "Column that says why it is NULL.", "none"),
        _text(
            "value_codes",
            "Of a status column: the codes under which the columns that it governs hold values, "
            "separated by ;.",
            "no status column",
        ),
        *_regional_columns(),
        _text("sign_convention", "What positive values mean.", "not signed"),
        _text("source", "Where the value comes from."),
        _text("since_version", "Schema version that brought the present definition."),
        Column("is_default", "bool", "Whether it is delivered by default.", nullable=False),
    ),
)
