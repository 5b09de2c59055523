"""The report's files: the same for equal tables, safe, without paths; what they say is true."""

import csv
import hashlib
import json
import re
from typing import get_args

import pytest
from reported import HOSTILE
from small_run import SCANS

from columna.config import Config, LabelSettings
from columna.errors import TableError
from columna.report import scan_data, write_report
from columna.report.methods import NAMING
from columna.report.pages import HERE
from columna.report.scripts import as_json
from columna.report.shown_measures import GROUPS, SCAN_MEASURES, SPINE_MEASURES
from columna.results.layout import Layout
from columna.tables.catalogue import TABLES

pytestmark = pytest.mark.xdist_group("report")


def value(folder, name):
    """What a data file hands to the pages."""
    text = (folder / "data" / f"{name}.js").read_text()
    return json.loads(text.partition(" = ")[2].rstrip(";\n"))


def rows(folder, kind, number=0):
    text = (folder / "data" / kind / f"{number}.js").read_text()
    return json.loads(text[text.index("[") : text.rindex("]") + 1])


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_tables_give_an_equal_report(reported):
    first = contents(reported.layout.report)
    write_report(reported.layout, reported.config)
    assert contents(reported.layout.report) == first
    left = [path.name for path in reported.layout.root.iterdir() if path.name.startswith(".report")]
    assert not left


def test_every_scan_is_in_the_list_and_has_its_page(reported):
    folder = reported.layout.report
    meta, listed, pages = value(folder, "meta"), rows(folder, "list"), rows(folder, "scan")
    assert meta["scans"] == len(listed) == len(pages) == 7
    assert [page["row"] for page in pages] == listed
    shown = [dict(zip(meta["list"], row, strict=True)) for row in listed]
    assert {row["participant_id"] for row in shown if row["processing_status"] == "done"} == {
        HOSTILE.replace("/", ""),
        "\"'`${window.hacked=1}",
        "sub-03",
    }
    assert [row["picture"] for row in shown] == [0, 0, 0, 1, 1, 1, 1]
    for page in pages:
        measured = page["row"][0] in {f"{name}_T2w" for name in SCANS}
        assert ("vertebrae" in page) == measured
        if measured:
            assert all((reported.layout.root / path).exists() for path in page["files"].values())


def test_distributions_are_those_of_the_tables(reported):
    import duckdb

    table = reported.layout.tables / "vertebrae.parquet"
    [measure] = [
        m
        for m in value(reported.layout.report, "distributions")
        if m["column"] == "body_volume_mm3"
    ]
    wanted = duckdb.execute(
        "SELECT level, count(*), round(median(body_volume_mm3), 3) FROM read_parquet(?) "
        "WHERE body_volume_mm3 IS NOT NULL GROUP BY level, level_order ORDER BY level_order",
        [str(table)],
    ).fetchall()
    assert [(row["level"], row["n"], row["q"][2]) for row in measure["levels"]] == wanted
    assert all(len(row["points"]) == row["n"] for row in measure["levels"])


def test_no_folder_of_this_machine_is_in_the_report(reported):
    for name, content in contents(reported.layout.report).items():
        assert str(reported.folder).encode() not in content, name
        assert b"data/sub-01" not in content, name


def test_data_files_hold_nothing_that_ends_a_script(reported):
    for path in (reported.layout.report / "data").rglob("*.js"):
        assert "<" not in path.read_text()
    text = as_json({"a": "</script>\u2028<!--&"})
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"a": "</script>\u2028<!--&"}


def test_the_manifest_says_what_was_run(reported):
    manifest = json.loads((reported.layout.report / "manifest.json").read_text())
    assert manifest["scans"] == {"inputs": 7, "done": 3, "refused": 4}
    tables = {entry["table"]: entry for entry in manifest["tables"]}
    content = (reported.layout.tables / "vertebrae.parquet").read_bytes()
    assert tables["vertebrae"]["sha256"] == hashlib.sha256(content).hexdigest()
    methods = (reported.layout.report / "methods.md").read_text()
    keys = set(re.findall(r"\[@(\w+)\]", methods))
    bibliography = (reported.layout.report / "references.bib").read_text()
    assert keys <= set(re.findall(r"@\w+\{(\w+),", bibliography))
    assert "7 sagittal" in methods
    assert "named by a probabilistic model" in methods


def test_packed_scripts_are_those_of_the_registry_with_their_licences():
    vendor = HERE / "static" / "vendor"
    with open(vendor / "packages.tsv", newline="") as stream:
        packed = list(csv.DictReader(stream, delimiter="\t"))
    assert {entry["file"] for entry in packed} == {p.name for p in vendor.glob("*.js")}
    for entry in packed:
        digest = hashlib.sha256((vendor / entry["file"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"]
        assert "Redistribution" in (vendor / entry["licence_file"]).read_text()


def test_pages_ask_for_columns_that_the_tables_have():
    asked = {
        "scans": {*scan_data.LIST, *scan_data.FACTS, *SCAN_MEASURES},
        "spine": set(SPINE_MEASURES),
        "quality": set(scan_data.FINDING),
        **{group.table: {group.level, *group.columns} for group in GROUPS},
    }
    asked["vertebrae"] |= set(scan_data.LEVEL)
    for table, columns in asked.items():
        assert columns <= set(TABLES[table].names), table


def test_without_tables_there_is_a_clear_error_and_no_folder(tmp_path):
    with pytest.raises(TableError, match="has `snakemake` finished"):
        write_report(Layout(tmp_path / "results"), Config())
    assert not (tmp_path / "results" / "report").exists()


def test_a_damaged_table_is_told_and_the_old_report_stays(reported):
    table = reported.layout.tables / "vertebrae.parquet"
    sound, before = table.read_bytes(), contents(reported.layout.report)
    damaged = bytearray(sound)
    damaged[100 : len(sound) // 2] = bytes(len(sound) // 2 - 100)
    try:
        for content in (bytes(damaged), sound[:1000]):
            table.write_bytes(content)
            with pytest.raises(TableError, match="damaged"):
                write_report(reported.layout, reported.config)
    finally:
        table.write_bytes(sound)
    assert contents(reported.layout.report) == before


def test_methods_know_every_way_of_naming():
    """A setting that the paragraph does not know would be described as another one."""
    assert set(NAMING) == set(get_args(LabelSettings.model_fields["naming"].annotation))
