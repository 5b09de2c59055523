"""Declared tables: rules of names and types, checks, documents, round trips."""

import math
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import fitting_row

from columna.collect.dictionary import data_package, dictionary_rows, sidecar
from columna.errors import TableError
from columna.tables.catalogue import MEASURED, TABLES
from columna.tables.common import STATUS
from columna.tables.finish import finish_row
from columna.tables.scans import SCANS, reason_table
from columna.tables.schema import Column, Table
from columna.tables.shards import read_shard, rows_to_arrow, write_shard
from columna.tables.tables_page import tables_page
from columna.tables.vertebrae import VERTEBRAE

DOCS = Path(__file__).parents[3] / "docs" / "tables.md"
ALL_COLUMNS = [(t, c) for t in TABLES.values() for c in t]
OWN_UNITS = ("columns", "quality", "cohort_reference", "cohort_drift")
"""Tables that name the unit of a value in another column."""
COLUMN_IDS = [f"{t.name}.{c.name}" for t, c in ALL_COLUMNS]


def vertebra(level="L3", order=23, **values):
    """A row of `vertebrae` that is right."""
    row = {
        "participant_id": "sub-01",
        "scan_id": "sub-01_T2w",
        "vertebra": level,
        "level": level,
        "region": "lumbar",
        "level_order": order,
        "level_status": "ok",
        "presence": "complete",
        "touches_fov": False,
        "edge_faces": "",
        "vertebra_volume_mm3": 60000.0,
        "body_volume_mm3": 30000.0,
    }
    return fitting_row(VERTEBRAE, **row | values)


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS, ids=COLUMN_IDS)
def test_columns_follow_the_rules(table, column):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert len(column.name) <= 32
    assert column.description.endswith(".")
    if column.type == "float64" and table.name not in OWN_UNITS:
        assert column.unit, "a measure needs its unit as a suffix"
    if column.type == "bool":
        assert column.name.startswith(("is_", "has_", "touches_"))
    if table.name != "columns":
        assert bool(column.null_rule) == column.nullable, "say when it may be missing"
    if column.name.endswith("_status") and column.name not in ("input_status", "processing_status"):
        assert dict(column.codes) == STATUS
        assert not column.nullable


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_keys_are_never_null_and_decide_the_order(table):
    assert not any(table[name].nullable for name in table.key)
    assert set(table.key) <= set(table.sort), "else two runs could order rows differently"


def test_every_code_of_a_refused_input_is_allowed():
    early = {
        c for c, r in reason_table().items() if {"index", "prepare"} & {*r["stage"].split(",")}
    }
    assert early < set(SCANS["input_status"].codes)


def test_docs_are_in_step():
    assert DOCS.read_text(encoding="utf-8") == tables_page(), "run `make docs`"


def test_dictionaries_name_every_column():
    rows = dictionary_rows(TABLES.values())
    named = {(r["table"], r["column"]) for r in rows}
    assert named == {(t.name, c.name) for t, c in ALL_COLUMNS}
    rows_to_arrow(TABLES["columns"], rows)
    package = data_package(TABLES.values(), {"pipeline_version": "1"})
    for table, resource in zip(TABLES.values(), package["resources"], strict=True):
        assert [f["name"] for f in resource["schema"]["fields"]] == list(table.names)
        assert list(sidecar(table)) == list(table.names)
    body = next(r for r in rows if r["column"] == "body_volume_mm3")
    assert (body["plausible_low_lumbar"], body["plausible_high_lumbar"]) == (1.5e4, 8e4)
    assert (body["reliability_thoracic"], body["reliability_lumbar"]) == ("B", "A")


def test_arrow_schema_carries_the_dictionary(tmp_path):
    schema = VERTEBRAE.arrow_schema("1.2.3", "abc")
    pq.write_table(schema.empty_table(), tmp_path / "v.parquet")
    read = pq.read_schema(tmp_path / "v.parquet")
    assert read.metadata[b"table"] == b"vertebrae"
    assert read.metadata[b"pipeline_version"] == b"1.2.3"
    assert read.metadata[b"config_sha256"] == b"abc"
    field = read.field("body_volume_mm3")
    assert field.type == pa.float64()
    assert field.metadata[b"unit"] == b"mm3"
    assert field.metadata[b"tier"] == b"cervical B, thoracic B, lumbar A"


def test_declaration_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="codes"):
        Column("level", "category", "A category without codes.")
    columns = (Column("a", "int32", "A."), Column("a", "int32", "A."))
    with pytest.raises(ValueError, match="twice"):
        Table("t", "T", "T.", ("a",), ("a",), columns)
    with pytest.raises(ValueError, match="a_status"):
        Table("t", "T", "T.", ("a",), ("a",), (replace(columns[0], status="a_status"),))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(value):
    with pytest.raises(TableError, match=r"vertebrae\.centroid_s_mm"):
        vertebra(centroid_s_mm=value)
    row = vertebra() | {"centroid_s_mm": value}
    with pytest.raises(TableError, match=r"vertebrae\.centroid_s_mm.*sub-01_T2w.*L3"):
        rows_to_arrow(VERTEBRAE.shard, [vertebra("L2", 22), row])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body_volume_mm3": None}, r"body_volume_mm3.*body_status.*L3"),
        ({"body_status": "partial_fov"}, r"body_volume_mm3.*body_status.*L3"),
        ({"arch_status": "ok"}, r"arch_volume_mm3.*arch_status.*L3"),
        ({"presence": "gone"}, r"presence.*codes.*gone.*L3"),
        ({"presence": None}, r"presence.*NULL.*L3"),
        ({"level_order": "x"}, r"level_order.*int32"),
        ({"level_order": 2**40}, r"level_order.*int32"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, message):
    with pytest.raises(TableError, match=message):
        rows_to_arrow(VERTEBRAE.shard, [vertebra("L2", 22), vertebra() | change])


def test_duplicate_keys_are_refused():
    with pytest.raises(TableError, match=r"vertebrae: duplicate key.*sub-01_T2w.*L3"):
        rows_to_arrow(VERTEBRAE.shard, [vertebra(), vertebra("L2", 22), vertebra()])


def test_unknown_columns_are_refused():
    with pytest.raises(TableError, match="no such columns: height"):
        finish_row(VERTEBRAE, {"height": 1.0})
    with pytest.raises(TableError, match="a formula computes wedge_ratio"):
        finish_row(VERTEBRAE, {"wedge_ratio": 1.0})


def test_values_are_rounded_counted_and_never_clipped():
    large = {"vertebra_volume_mm3": 100000.0}
    row = vertebra(
        **large, body_volume_mm3=80000.04, centroid_r_mm=-0.0001, centroid_a_mm=1.0005 - 1e-13
    )
    assert row["body_volume_mm3"] == 80000.0
    assert row["n_implausible_n"] == 0
    assert math.copysign(1, row["centroid_r_mm"]) == 1
    assert row["centroid_a_mm"] == vertebra(centroid_a_mm=1.0005 + 1e-13)["centroid_a_mm"]
    row = vertebra(**large, body_volume_mm3=90000.0, fov_distance_mm=-1.0)
    assert row["body_volume_mm3"] == 90000.0
    assert row["n_implausible_n"] == 2


def test_round_trip_through_the_readers(tmp_path):
    path = tmp_path / "shard.parquet"
    rows = [
        vertebra("L2", 22, height_loss_middle_pct=1.25),
        vertebra("L3", 23, height_loss_status="neighbour_missing"),
    ]
    rows = [{name: row[name] for name in VERTEBRAE.shard.names} for row in rows]
    write_shard(path, "vertebrae", rows)
    assert read_shard(path, "vertebrae").to_pylist() == rows
    level = pq.read_schema(path).field("level").type
    assert pa.types.is_dictionary(level)
    frame = pq.read_table(path).to_pandas()
    assert list(frame["level"].cat.categories)[:3] == ["C1", "C2", "C3"]
    assert frame["height_loss_middle_pct"].isna().tolist() == [False, True]
    assert polars.read_parquet(path).to_dicts() == rows
    query = f"select level, height_loss_middle_pct, level_order from '{path}' order by level_order"
    assert duckdb.sql(query).fetchall() == [("L2", 1.25, 22), ("L3", None, 23)]


def test_equal_rows_give_equal_bytes(tmp_path):
    rows = [vertebra("L2", 22), vertebra("L3", 23)]
    for name in "ab":
        write_shard(tmp_path / name, "vertebrae", rows)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shard_of_another_version_is_refused(tmp_path):
    path = tmp_path / "shard.parquet"
    write_shard(path, "vertebrae", [vertebra()])
    data = pq.read_table(path)
    pq.write_table(data.replace_schema_metadata({"table": "vertebrae"}), path)
    with pytest.raises(TableError, match="not vertebrae"):
        read_shard(path, "vertebrae")


@pytest.mark.parametrize("table", MEASURED)
def test_empty_shards_keep_their_schema(table, tmp_path):
    write_shard(tmp_path / "empty.parquet", table, [])
    assert read_shard(tmp_path / "empty.parquet", table).num_rows == 0
