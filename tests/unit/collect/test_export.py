"""What is delivered beside Parquet: dictionaries, views, CSV and Stata, all saying the same."""

import json

import duckdb
import frictionless
import pandas as pd
import pyarrow.parquet as pq
import pytest
from measured_phantom import collect_phantoms

from columna.collect.export import export_csv, export_stata
from columna.errors import TableError
from columna.evaluate.outputs import write_measurement_error
from columna.results.layout import Layout
from columna.tables.catalogue import TABLES
from columna.tables.delivered import as_delivered, delivered_names
from columna.tables.finish import is_implausible
from columna.upkeep.run_summary import summary


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return collect_phantoms(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def csv(tables):
    export_csv(tables, tables.parent / "csv")
    return tables.parent / "csv"


@pytest.fixture(scope="module")
def stata(tables):
    export_stata(tables, tables.parent / "stata")
    return tables.parent / "stata"


def frame_of(tables, name):
    return pq.read_table(tables / f"{name}.parquet").to_pandas()


def test_all_dictionaries_say_the_same(tables):
    """Arrow metadata, columns.parquet, <table>.json and datapackage.json, column by column."""
    dictionary = frame_of(tables, "columns").set_index(["table", "column"])
    package = json.loads((tables / "datapackage.json").read_text())
    resources = {resource["name"]: resource for resource in package["resources"]}
    assert set(resources) == set(TABLES) == set(dictionary.index.get_level_values("table"))
    for name, table in TABLES.items():
        schema = pq.read_schema(tables / f"{name}.parquet")
        table = as_delivered(table, tables / f"{name}.parquet")
        sidecar = json.loads((tables / f"{name}.json").read_text())
        fields = {field["name"]: field for field in resources[name]["schema"]["fields"]}
        assert schema.names == list(sidecar) == list(fields) == list(table.names)
        assert resources[name]["schema"]["primaryKey"] == list(table.key)
        for column in schema.names:
            row, beside, field = dictionary.loc[(name, column)], sidecar[column], fields[column]
            arrow = schema.field(column).metadata
            texts = {row.description, beside["Description"], field["description"]}
            assert texts == {arrow[b"description"].decode()}
            units = {row.unit or "", beside.get("Units", ""), field.get("unit", "")}
            assert units == {arrow[b"unit"].decode()}
            assert {row.since_version, beside["SinceVersion"]} == {arrow[b"version"].decode()}
            codes = (row.codes or "").split(";") if row.codes else []
            assert codes == list(beside.get("Levels", {}))
            assert codes == field.get("constraints", {}).get("enum", [])


def test_the_data_package_is_valid(tables):
    descriptor = json.loads((tables / "datapackage.json").read_text())
    assert not list(frictionless.Package.metadata_validate(descriptor))


def test_csv_fulfils_its_data_package(csv, tables):
    """Types, codes, primary and foreign keys, checked by frictionless on every row."""
    report = frictionless.validate(csv / "datapackage.json")
    assert report.valid, report.flatten(["name", "rowNumber", "fieldName", "note"])[:5]
    rows = {task.name: task.stats.get("rows", 0) for task in report.tasks}
    counted = {n: pq.read_metadata(tables / f"{n}.parquet").num_rows for n in TABLES}
    assert rows == counted


def test_a_row_that_breaks_a_rule_is_found(csv, tmp_path):
    """The constraints of the data package are not empty promises."""
    for file in csv.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    frame = pd.read_csv(tmp_path / "vertebrae.csv.gz", dtype=str)
    frame.loc[0, "presence"] = "gone"
    frame.loc[1] = frame.loc[2]
    frame.loc[3, "scan_id"] = "nobody"
    frame.to_csv(tmp_path / "vertebrae.csv.gz", index=False)
    report = frictionless.validate(tmp_path / "datapackage.json")
    kinds = {kind for _, kind in report.flatten(["name", "type"])}
    assert {"constraint-error", "primary-key", "foreign-key"} <= kinds


@pytest.mark.parametrize("name", ["vertebrae", "discs", "quality", "scans"])
def test_csv_holds_the_values(csv, tables, name):
    expected = frame_of(tables, name)
    found = pd.read_csv(csv / f"{name}.csv.gz")
    assert list(found.columns) == list(expected.columns)
    for column in expected:
        if expected[column].dtype == float:
            pd.testing.assert_series_equal(found[column], expected[column], check_exact=True)
        else:
            assert found[column].isna().sum() == expected[column].replace("", None).isna().sum()


@pytest.mark.parametrize("name", ["vertebrae", "spine", "quality", "cohort_reference"])
def test_stata_holds_the_values(stata, tables, name):
    expected = frame_of(tables, name)
    found = pd.read_stata(stata / f"{name}.dta")
    for column in TABLES[name]:
        one, other = found[column.name], expected[column.name]
        if column.type in ("float64", "int32", "bool"):
            assert one.astype(float).equals(other.astype(float)), column.name
        else:
            told = one.astype(object).fillna("")
            assert told.tolist() == other.astype(object).fillna("").tolist(), column.name


def test_stata_variables_are_labelled(stata):
    with pd.io.stata.StataReader(stata / "vertebrae.dta") as reader:
        labels, codes = reader.variable_labels(), reader.value_labels()
    assert labels["scan_id"] == "Scan; joins all tables"
    assert all(0 < len(label) <= 80 for label in labels.values())
    assert all(len(name) <= 32 for name in labels)
    assert list(codes["level"].values())[:2] == ["C1", "C2"]


def test_exports_repeat_byte_by_byte(csv, stata, tables, tmp_path):
    for path in [*export_csv(tables, tmp_path), *export_stata(tables, tmp_path, ["discs"])]:
        before = (stata if path.suffix == ".dta" else csv) / path.name
        assert path.read_bytes() == before.read_bytes(), path.name


def test_unknown_and_missing_tables_are_named(tables, tmp_path):
    with pytest.raises(TableError, match="no table is called 'vertebra'; there are scans"):
        export_csv(tables, tmp_path, ["vertebra"])
    with pytest.raises(TableError, match=r"discs\.parquet does not exist"):
        export_stata(tmp_path, tmp_path, ["discs"])


@pytest.fixture
def views(tables, monkeypatch):
    monkeypatch.chdir(tables)
    database = duckdb.connect()
    database.execute((tables / "views.sql").read_text())
    return database


def test_views_hold_what_the_tables_hold(views, tables):
    vertebrae = frame_of(tables, "vertebrae")
    complete = vertebrae[(vertebrae.presence == "complete") & (vertebrae.body_status == "ok")]
    bodies = views.sql("SELECT * FROM v_complete_bodies ORDER BY scan_id, level_order").df()
    assert len(bodies) == len(complete) > 0
    assert bodies.body_volume_mm3.tolist() == complete.body_volume_mm3.tolist()
    assert set(bodies.level_verdict) <= {"ok", "review", "fail"}
    lumbar = views.sql("SELECT * FROM v_lumbar").df()
    assert set(lumbar.region) == {"lumbar"}
    assert (lumbar.disc.str.split("-").str[0] == lumbar.level).all()


def test_one_row_per_subject_is_a_pivot(views, tables):
    wide = views.sql("SELECT * FROM v_subject_wide ORDER BY scan_id").df()
    assert wide.scan_id.tolist() == [f"sub-{n:02d}_T2w" for n in (1, 2, 3)]
    vertebrae, discs = (frame_of(tables, name) for name in ("vertebrae", "discs"))
    l3 = vertebrae[vertebrae.level == "L3"]
    assert wide.l3_height_middle_mm.tolist() == l3.height_middle_mm.tolist()
    assert wide.l3_height_middle_mm.notna().all()
    l4 = discs[discs.level_upper == "L4"]
    assert wide.l4_gap_middle_mm.tolist() == l4.gap_middle_mm.tolist()
    assert wide.c5_depth_mm.isna().all()
    angles = frame_of(tables, "spine").lumbar_lordosis_l1_s1_deg
    assert wide.lumbar_lordosis_l1_s1_deg.tolist() == angles.tolist()


def test_a_failing_level_can_be_left_out(tables, tmp_path):
    """The verdict of a level in v_complete_bodies is the worst on its body and its name."""
    database = duckdb.connect()
    database.execute(f"SET file_search_path = '{tables}'")
    database.execute((tables / "views.sql").read_text())
    database.execute("""
        CREATE OR REPLACE VIEW vertebrae AS
        SELECT * REPLACE (
            CASE WHEN scan_id = 'sub-01_T2w' AND vertebra = 'L3' THEN 'review' ELSE 'ok' END
            AS level_verdict_bodies,
            CASE WHEN scan_id = 'sub-01_T2w' AND vertebra = 'L3' THEN 'fail' ELSE 'ok' END
            AS level_verdict_names)
        FROM read_parquet('vertebrae.parquet')""")
    verdicts = "SELECT scan_id, vertebra, level_verdict FROM v_complete_bodies"
    assert database.sql(f"{verdicts} WHERE level_verdict != 'ok'").fetchall() == [
        ("sub-01_T2w", "L3", "fail")
    ]


def test_nothing_stands_for_a_missing_value(tables):
    """No value beyond its plausible range is a number that software writes where it has none."""
    codes = {-1.0, -9.0, -99.0, -999.0, -9999.0, 0.0, 99.0, 999.0, 9999.0}
    for name, table in TABLES.items():
        frame = frame_of(tables, name)
        regions = frame["region"] if "region" in frame else [None] * len(frame)
        for column in table:
            if column.plausible:
                known = zip(frame[column.name], regions, strict=True)
                odd = {v for v, region in known if v == v and is_implausible(column, v, region)}
                assert not codes & odd, f"{name}.{column.name}"


def test_summary_tells_the_verdicts(tables):
    told = " ".join(" ".join(summary(Layout(tables.parent))).split())
    verdicts = frame_of(tables, "scans").qc_verdict.value_counts()
    for verdict in ("pass", "review", "fail"):
        assert f"{verdicts.get(verdict, 0)} {verdict}" in told
    assert "3 inputs: 3 done, 0 refused, 0 failed" in told


def test_added_tables_are_exported_and_described(tmp_path):
    """The error of measures, which commands beside the workflow add; other tables as before."""
    tables = collect_phantoms(tmp_path / "run")
    rows = [{"table": "discs", "column": "gap_mean_mm", "unit": "mm", "region": "all",
             "slices": "thick", "twins_n": 2, "values_n": 9}]  # fmt: skip
    path = write_measurement_error(rows, tables)
    assert delivered_names(tables) == [*TABLES, "measurement_error"]
    export_csv(tables, tmp_path / "csv", delivered_names(tables))
    frame = pd.read_csv(tmp_path / "csv" / "measurement_error.csv.gz")
    assert frame["values_n"].tolist() == [9]
    assert frame["bias"].isna().all()
    package = json.loads((tmp_path / "csv" / "datapackage.json").read_text())
    assert path.stem in {resource["name"] for resource in package["resources"]}
    export_stata(tables, tmp_path / "stata", [path.stem])
    assert pd.read_stata(tmp_path / "stata" / "measurement_error.dta")["slices"].tolist() == [
        "thick"
    ]
