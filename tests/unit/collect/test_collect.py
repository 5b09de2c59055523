"""Collected tables: every input once, in order, checked, the same bytes however divided."""

import json

import duckdb
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import fitting_row, plain

from columna import __version__
from columna.assess import quality_rows
from columna.assess.finding import found
from columna.assess.rules import all_rules, needed_answers
from columna.cohort.index import build_index
from columna.collect import collect as collect_module
from columna.collect.collect import collect, collect_tables
from columna.collect.groups import age_group
from columna.collect.left_out import left_out_rows
from columna.domains import DOMAINS, IN_VERDICT
from columna.errors import TableError
from columna.measure import unmeasured_scan_row
from columna.results.layout import Layout
from columna.results.manifest import list_batches, read_manifest
from columna.tables.catalogue import SHARDED, TABLES
from columna.tables.scans import SCANS
from columna.tables.shards import write_shard
from columna.tables.structures import STRUCTURES
from columna.tables.vertebrae import VERTEBRAE

CONFIG = "c" * 64
LEVELS = [("T12", 19, "thoracic"), ("T13", 20, "thoracic"), ("L1", 21, "lumbar")]
IDENTITY = {
    "s1": ("sub-1", "ses-2"),
    "s2": ("sub-1", "ses-1"),
    "s3": ("sub-2", None),
    "s4": ("sub-10", None),
}
FINE = {
    "semantic_instance_dice": 1.0,
    "canal_behind_bodies": 1.0,
    "arches_behind_bodies": 1.0,
    "head_up": 1.0,
    "complete_bodies": 3,
    "snr_csf": 7.5,
    "snr_body": 7.5,
    "cnr_body_csf": 7.5,
    "csf_over_body": 2.0,
}
"""Rule -> value that raises nothing; 0 is fine for the others that need an answer."""


def scan_rows(scan_id, **quality):
    """Rows of one measured scan, levels in the wrong order.

    `quality`: rule -> value. Rules that need an answer have a good one unless it says otherwise;
    ... stands for a rule without a row.
    """
    participant, session = IDENTITY[scan_id]
    identity = {"participant_id": participant, "session_id": session, "scan_id": scan_id}
    done = {"input_status": "ok", "is_excluded_input": False, "processing_status": "done"}
    for status in ("input_status", "processing_status"):
        done |= {name: plain(SCANS[name]) for name in SCANS.groups[status]}
    done |= {"has_sacrum": False, "has_c2": False, "enumeration_variant": "indeterminate"}
    done |= {"config_sha256": CONFIG, "measure_version": "1.0.0"}
    vertebrae = [
        {
            "vertebra": level,
            "level": level,
            "level_order": order,
            "region": region,
            "presence": "complete",
            "spineps_label": order,
            "body_volume_mm3": 20000.0 + order,
        }
        for level, order, region in LEVELS[::-1]
    ]
    body = {"mask": "semantic", "label": 49, "structure": "vertebral_body"}
    answers = {rule: FINE.get(rule, 0) for rule in needed_answers()} | quality
    findings = [found(rule, value) for rule, value in answers.items() if value is not ...]
    return {
        "scans": [fitting_row(SCANS, **identity, **done)],
        "structures": [fitting_row(STRUCTURES, **identity, **body)],
        "vertebrae": [fitting_row(VERTEBRAE, **identity, **row) for row in vertebrae],
        "quality": quality_rows(identity, findings, vertebrae),
    }


def write_batches(folder, batches):
    """Shards of `batches`, lists of rows per scan; table -> files."""
    files = {}
    for table in SHARDED:
        files[table] = []
        for number, scans in enumerate(batches):
            path = folder / table / f"b{number}.parquet"
            write_shard(path, table, [row for scan in scans for row in scan.get(table, [])])
            files[table].append(path)
    return files


def index_of(*scan_ids, extra=()):
    rows = [
        {
            "participant_id": IDENTITY[s][0],
            "session_id": IDENTITY[s][1],
            "scan_id": s,
            "path": f"/secret/{s}.nii.gz",
            "input_status": "ok",
            "reason": None,
            "sex": "F",
        }
        for s in scan_ids
    ]
    return pa.Table.from_pylist(rows + [rows[0] | e for e in extra])


@pytest.fixture
def cohort(tmp_path):
    """Four scans in two batches, one of them refused; three inputs left out by the index."""
    refused = unmeasured_scan_row(
        scan_id="s4",
        participant_id="sub-10",
        session_id=None,
        stage="semantic",
        status="refused",
        code="no_spine",
        reason="The network found no spine.",
        facts={name: scan_rows("s1")["scans"][0][name] for name in SCANS.groups["input_status"]},
    )
    batches = [[scan_rows("s3"), scan_rows("s1")], [{"scans": [refused]}, scan_rows("s2")]]
    extra = [
        {"scan_id": "s1", "input_status": "duplicate_scan", "reason": "Occurs twice."},
        {"scan_id": None, "participant_id": None, "input_status": "bad_row", "reason": "No path."},
        {"scan_id": "s9", "input_status": "missing_file", "reason": "No file /secret/s9.nii.gz."},
    ]
    index = index_of("s1", "s2", "s3", "s4", extra=extra)
    return write_batches(tmp_path / "shards", batches), index, tmp_path / "tables"


def read(out, table):
    return pq.read_table(out / f"{table}.parquet").to_pylist()


def test_every_input_is_one_row(cohort):
    files, index, out = cohort
    counts = collect(files, index, out, CONFIG)
    rows = {row["scan_id"]: row for row in read(out, "scans")}
    assert counts["scans"] == len(rows) == index.num_rows == 7
    assert set(rows) == {"s1", "s2", "s3", "s4", "s9", "row-0000005", "row-0000006"}
    twin = rows["row-0000005"]
    assert (twin["input_status"], twin["is_excluded_input"]) == ("duplicate_scan", True)
    assert (twin["participant_id"], twin["session_id"]) == ("sub-1", "ses-2")
    assert (twin["processing_status"], twin["processing_stage"]) == ("refused", "index")
    assert rows["row-0000006"]["participant_id"] is None
    assert rows["s9"]["input_reason"] == "No file <file>"
    assert rows["s4"]["processing_code"] == "no_spine"
    assert rows["s1"]["processing_status"] == "done"


def test_a_run_is_collected_by_its_index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sheet = ["participant_id\tscan_id\tpath"]
    for scan_id in ("s1", "s2", "s3"):
        (tmp_path / f"{scan_id}_T2w.nii.gz").touch()
        sheet.append(f"{IDENTITY[scan_id][0]}\t{scan_id}\t{scan_id}_T2w.nii.gz")
    sheet.append("sub-7\ts7\tgone_T2w.nii.gz")
    (tmp_path / "cohort.tsv").write_text("\n".join(sheet) + "\n")
    layout = Layout(tmp_path / "results")
    build_index(tmp_path / "cohort.tsv", layout.index, batch_size=2)
    for batch in list_batches(layout.index):
        scans = read_manifest(layout.manifest(batch))
        rows = [scan_rows(scan.scan_id) for scan in scans]
        for table in SHARDED:
            write_shard(
                layout.shard(table, batch), table, [r for s in rows for r in s.get(table, [])]
            )
    assert collect_tables(layout, CONFIG)["scans"] == 4
    status = {row["scan_id"]: row["input_status"] for row in read(layout.tables, "scans")}
    assert status == {"s1": "ok", "s2": "ok", "s3": "ok", "s7": "missing_file"}


def test_paths_and_user_columns_stay_out(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    assert "sex" not in pq.read_schema(out / "scans.parquet").names
    for file in out.iterdir():
        assert b"secret" not in file.read_bytes(), file


def test_rows_are_sorted_by_anatomy(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    rows = read(out, "vertebrae")
    assert [row["scan_id"] for row in rows[::3]] == ["s2", "s1", "s3"]
    assert [row["vertebra"] for row in rows] == ["T12", "T13", "L1"] * 3
    assert read(out, "scans")[-1]["participant_id"] is None, "missing names come last"


def test_values_come_back_in_every_reader(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    path = out / "vertebrae.parquet"
    expected = [row for s in ("s2", "s1", "s3") for row in scan_rows(s)["vertebrae"][::-1]]
    for domain in ("names", "bodies", "posterior"):
        judged = {f"level_verdict_{domain}": "ok", f"is_evaluable_{domain}": domain != "posterior"}
        expected = [row | judged for row in expected]
    assert pq.read_table(path).to_pylist() == expected
    assert polars.read_parquet(path).to_dicts() == expected
    query = f"SELECT level, body_volume_mm3, centroid_s_mm FROM '{path}' LIMIT 1"
    assert duckdb.sql(query).fetchall() == [("T12", 20019.0, None)]
    frame = pd.read_parquet(path)
    assert frame["body_volume_mm3"].tolist() == [row["body_volume_mm3"] for row in expected]
    assert frame["level"].dtype == "category"


def test_files_carry_their_dictionary(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    assert {p.name for p in out.iterdir()} == {
        "datapackage.json",
        "views.sql",
        *(f"{t}{end}" for t in TABLES for end in (".parquet", ".json")),
    }
    for name, table in TABLES.items():
        schema = pq.read_schema(out / f"{name}.parquet")
        assert schema.equals(table.arrow_schema(__version__, CONFIG), check_metadata=True)
        assert list(json.loads((out / f"{name}.json").read_text())) == list(table.names)
    rows = read(out, "columns")
    assert len(rows) == sum(len(table.columns) for table in TABLES.values())
    package = json.loads((out / "datapackage.json").read_text())
    assert package["provenance"] == {"pipeline_version": __version__, "config_sha256": CONFIG}
    for resource in package["resources"]:
        assert (out / resource["path"]).is_file()


def test_bytes_do_not_depend_on_batches(cohort, tmp_path):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    refused = pq.read_table(files["scans"][1]).to_pylist()[0]
    batches = [[scan_rows("s2")], [], [scan_rows("s1"), {"scans": [refused]}, scan_rows("s3")]]
    other = write_batches(tmp_path / "other", batches)
    collect(other, index.to_pandas(), tmp_path / "again", CONFIG)
    for file in out.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_row_groups_stream(cohort, monkeypatch):
    files, index, out = cohort
    monkeypatch.setattr(collect_module, "ROW_GROUP", 4)
    collect(files, index, out, CONFIG)
    metadata = pq.read_metadata(out / "vertebrae.parquet")
    assert metadata.num_rows == 9
    assert [row["vertebra"] for row in read(out, "vertebrae")] == ["T12", "T13", "L1"] * 3


def test_an_input_without_a_row_is_refused(cohort, tmp_path):
    files, index, out = cohort
    files = {table: found[:1] for table, found in files.items()}
    with pytest.raises(TableError, match=r"no row for 2 scans.*'s2'"):
        collect(files, index, out, CONFIG)
    assert not list(out.glob("*")), "nothing is delivered, nothing is left behind"


def test_a_row_without_an_input_is_refused(cohort):
    files, index, out = cohort
    without_s3 = index.filter(
        pa.compute.fill_null(pa.compute.not_equal(index["scan_id"], "s3"), True)
    )
    with pytest.raises(TableError, match=r"1 rows are of no scan.*'s3'"):
        collect(files, without_s3, out, CONFIG)


def test_a_scan_in_two_batches_is_refused(cohort, tmp_path):
    out = cohort[-1]
    files = write_batches(tmp_path / "twice", [[scan_rows("s1")], [scan_rows("s1")]])
    with pytest.raises(TableError, match=r"scans: duplicate key scan_id='s1'"):
        collect(files, index_of("s1"), out, CONFIG)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("vertebrae", "vertebrae: no rows of 1 scans that are done.*'s1'"),
        ("scans", "scans: no row for 1 scans"),
    ],
)
def test_a_scan_that_lacks_rows_is_refused(table, message, tmp_path):
    files = write_batches(tmp_path, [[scan_rows("s1") | {table: []}, scan_rows("s2")]])
    with pytest.raises(TableError, match=message):
        collect(files, index_of("s1", "s2"), tmp_path / "tables", CONFIG)


def test_rows_of_other_settings_are_refused(cohort):
    files, index, out = cohort
    with pytest.raises(TableError, match=r"3 rows were made with other settings.*'s1'"):
        collect(files, index, out, "d" * 64)


@pytest.mark.parametrize("column", ["model_semantic_sha256", "pipeline_version"])
def test_two_models_or_versions_are_not_mixed(column, tmp_path):
    scans = [scan_rows("s1"), scan_rows("s2"), scan_rows("s3")]
    for rows, value in zip(scans, ("a" * 64, "b" * 64, None), strict=True):
        rows["scans"][0][column] = value
    files = write_batches(tmp_path, [[scan] for scan in scans])
    with pytest.raises(TableError, match=f"{column} is not the same.*snakemake"):
        collect(files, index_of("s1", "s2", "s3"), tmp_path / "tables", CONFIG)


def test_shards_of_another_schema_are_refused(cohort):
    files, index, out = cohort
    shard = files["vertebrae"][0]
    data = pq.read_table(shard)
    pq.write_table(
        data.replace_schema_metadata({"table": "vertebrae", "schema_version": "0.9"}), shard
    )
    with pytest.raises(TableError, match=r"schema version 0\.9"):
        collect(files, index, out, CONFIG)


def test_spoilt_shards_are_refused(cohort):
    files, index, out = cohort
    shard = files["vertebrae"][0]
    data = pq.read_table(shard)
    place = data.schema.get_field_index("body_volume_mm3")
    spoilt = pa.array([float("nan")] * data.num_rows)
    pq.write_table(data.set_column(place, data.schema.field(place), spoilt), shard)
    with pytest.raises(TableError, match=r"vertebrae\.body_volume_mm3: NaN.*vertebra='T12'"):
        collect(files, index, out, CONFIG)
    shard.write_bytes(b"no parquet")
    with pytest.raises(TableError, match="is damaged"):
        collect(files, index, out, CONFIG)
    shard.unlink()
    with pytest.raises(TableError, match="no such shard"):
        collect(files, index, out, CONFIG)


def test_a_failed_collect_keeps_the_tables_that_were_there(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    files["structures"][0].unlink()
    with pytest.raises(TableError):
        collect(files, index, out, CONFIG)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_cohort_of_nothing_but_bad_rows_has_its_tables(tmp_path):
    bad = index_of("s1").to_pylist()[0] | {"input_status": "missing_file", "reason": "No file."}
    counts = collect(
        {table: [] for table in SHARDED}, pa.Table.from_pylist([bad]), tmp_path, CONFIG
    )
    assert (counts["scans"], counts["vertebrae"]) == (1, 0)
    assert pq.read_table(tmp_path / "vertebrae.parquet").num_rows == 0


def test_names_for_inputs_without_a_usable_one():
    ids = ["row-0000003", "../x", None, "a", "a"]
    status = ["ok", "bad_row", "bad_row", "ok", "duplicate_scan"]
    index = pa.table(
        {
            "participant_id": ["p", "a/b", None, "p", "p"],
            "session_id": pa.nulls(5, pa.string()),
            "scan_id": ids,
            "input_status": status,
            "reason": ["x"] * 5,
        }
    )
    rows = list(left_out_rows(index))
    assert [r["scan_id"] for r in rows] == ["row-0000002", "row-0000003-", "row-0000005"]
    assert [r["participant_id"] for r in rows] == [None, None, "p"]


def test_the_verdict_on_a_scan_follows_its_rules(tmp_path):
    scans = [
        scan_rows("s1", slice_displacement=3.0),
        scan_rows("s2", canal_continuity=5.0, label_shift_suspect=0.2),
        scan_rows("s3", order_monotone=1, cnr_cord_csf=None),
        scan_rows("s4", semantic_instance_dice=0.5),
    ]
    files = write_batches(tmp_path, [scans])
    collect(files, index_of("s1", "s2", "s3", "s4"), tmp_path / "tables", CONFIG)
    rows = {row["scan_id"]: row for row in read(tmp_path / "tables", "scans")}
    assert {scan: row["qc_verdict"] for scan, row in rows.items()} == {
        "s1": "pass",
        "s2": "review",
        "s3": "fail",
        "s4": "review",  # a failing rule about levels does not discard the scan
    }
    assert rows["s1"]["qc_reasons"] == ""
    assert rows["s1"]["qc_other_reasons"] == "slice_displacement"
    assert rows["s2"]["qc_reasons"] == "canal_continuity;label_shift_suspect"
    assert (rows["s1"]["snr_csf_ratio"], rows["s3"]["cnr_cord_csf_ratio"]) == (7.5, None)


def domain_verdicts(row):
    return {domain: row[f"qc_{domain}_verdict"] for domain in DOMAINS}


def test_every_domain_has_its_own_verdict(tmp_path):
    scans = [
        scan_rows("s1", slice_displacement=3.0),
        scan_rows("s2", canal_continuity=5.0),
        scan_rows("s3", order_monotone=1),
    ]
    files = write_batches(tmp_path, [scans])
    collect(files, index_of("s1", "s2", "s3"), tmp_path / "tables", CONFIG)
    rows = {row["scan_id"]: row for row in read(tmp_path / "tables", "scans")}
    fine = dict.fromkeys(DOMAINS, "pass")
    assert domain_verdicts(rows["s1"]) == fine | {"image": "review"}
    assert domain_verdicts(rows["s2"]) == fine | {"canal_cord": "review"}
    assert domain_verdicts(rows["s3"]) == fine | {"names": "fail"}


def test_the_configuration_says_which_domains_make_the_verdict(tmp_path):
    scans = [scan_rows("s1", slice_displacement=3.0), scan_rows("s2", order_monotone=1)]
    files = write_batches(tmp_path, [scans])
    index = index_of("s1", "s2")
    collect(files, index, tmp_path / "tables", CONFIG, verdict_domains=("image", "bodies"))
    rows = {row["scan_id"]: row for row in read(tmp_path / "tables", "scans")}
    assert (rows["s1"]["qc_verdict"], rows["s1"]["qc_reasons"]) == ("review", "slice_displacement")
    assert (rows["s2"]["qc_verdict"], rows["s2"]["qc_reasons"]) == ("pass", "")
    assert rows["s2"]["qc_other_reasons"] == "order_monotone"


def test_levels_carry_the_verdicts_on_body_and_name(tmp_path):
    """A body can be used while the names of its scan cannot."""
    scan, shifted = scan_rows("s1"), scan_rows("s2", order_monotone=1)
    findings = [
        found("volume_neighbour_z", -5.0, item="L1"),
        found("spacing_smooth", 2.0, item="T13"),
        found("subregion_missing", 1.0, item="T12"),
    ]
    identity = {key: scan["scans"][0][key] for key in ("participant_id", "session_id", "scan_id")}
    scan["quality"] += quality_rows(identity, findings, scan["vertebrae"])
    files = write_batches(tmp_path, [[scan, shifted]])
    collect(files, index_of("s1", "s2"), tmp_path / "tables", CONFIG)
    rows = {
        (row["scan_id"], row["vertebra"]): row for row in read(tmp_path / "tables", "vertebrae")
    }
    bodies = {key: row["level_verdict_bodies"] for key, row in rows.items()}
    assert [bodies["s1", level] for level in ("L1", "T13", "T12")] == ["review", "fail", "ok"]
    assert rows["s1", "T12"]["level_verdict_posterior"] == "review"
    assert all(rows["s1", level]["level_verdict_names"] == "ok" for level in ("L1", "T12", "T13"))
    usable = {key: row["is_evaluable_bodies"] for key, row in rows.items()}
    assert (usable["s1", "L1"], usable["s2", "L1"], usable["s1", "T13"]) == (True, True, False)
    named = {key: row["is_evaluable_names"] for key, row in rows.items()}
    assert (named["s1", "L1"], named["s2", "L1"]) == (True, False)


def test_a_level_that_was_not_found_is_not_judged(tmp_path):
    scan = scan_rows("s1")
    gone = {"presence": "absent_outside_fov", "spineps_label": None, "level_anchor": None}
    scan["vertebrae"][0] |= gone | {"found_status": "not_segmented", "body_volume_mm3": None}
    scan["vertebrae"][0] |= dict.fromkeys(VERTEBRAE.groups["body_status"])
    scan["vertebrae"][0] |= {"body_status": "not_segmented"}
    [row] = [
        row
        for row in collected_vertebrae(tmp_path, scan)
        if row["vertebra"] == scan["vertebrae"][0]["vertebra"]
    ]
    assert row["level_verdict_bodies"] == "absent"
    assert not row["is_evaluable_bodies"]


def collected_vertebrae(folder, scan):
    collect(write_batches(folder, [[scan]]), index_of("s1"), folder / "tables", CONFIG)
    return read(folder / "tables", "vertebrae")


@pytest.mark.parametrize("rule", needed_answers())
@pytest.mark.parametrize("answer", [None, ...], ids=["NULL", "no row"])
def test_no_scan_passes_without_the_answers_that_it_needs(tmp_path, rule, answer):
    files = write_batches(tmp_path, [[scan_rows("s1", **{rule: answer}), scan_rows("s2")]])
    collect(files, index_of("s1", "s2"), tmp_path / "tables", CONFIG)
    rows = {row["scan_id"]: row for row in read(tmp_path / "tables", "scans")}
    domain = all_rules()[rule].domain
    where = "qc_reasons" if domain in IN_VERDICT else "qc_other_reasons"
    assert (rows["s1"][f"qc_{domain}_verdict"], rows["s1"][where]) == ("review", rule)
    assert rows["s1"]["qc_verdict"] == ("review" if domain in IN_VERDICT else "pass")
    assert rows["s2"]["qc_verdict"] == "pass"


def test_inputs_that_were_not_measured_have_no_verdict_but_their_reason(cohort):
    files, index, out = cohort
    collect(files, index, out, CONFIG)
    rows = {row["scan_id"]: row for row in read(out, "scans")}
    assert (rows["s4"]["qc_verdict"], rows["s4"]["qc_reasons"]) == (None, "no_spine")
    assert (rows["s9"]["qc_verdict"], rows["s9"]["qc_reasons"]) == (None, "missing_file")


def test_identical_images_under_several_names_are_flagged(tmp_path):
    scans = [scan_rows(name) for name in ("s3", "s1", "s4", "s2")]
    for scan, digest in zip(scans, ("a", "a", "b", "a"), strict=True):
        scan["scans"][0]["input_sha256"] = digest
    files = write_batches(tmp_path, [scans[:2], scans[2:]])
    collect(files, index_of("s1", "s2", "s3", "s4"), tmp_path / "tables", CONFIG)
    same = {row["scan_id"]: row["same_image_as"] for row in read(tmp_path / "tables", "scans")}
    assert same == {"s1": "s2", "s2": "s1", "s3": "s1", "s4": None}


def test_left_out_inputs_keep_what_is_known_and_are_told_apart(tmp_path):
    facts = json.dumps({"modality": "T1w", "acquisition": "sag", "manufacturer": "GE"})
    codes = {"a": "wrong_modality", "b": "missing_file", "c": "derived_image", "d": "not_bids"}
    bad = [
        {"scan_id": scan_id, "input_status": code, "reason": "Why.", "input_facts": facts}
        for scan_id, code in codes.items()
    ]
    index = pa.Table.from_pylist([index_of("s1").to_pylist()[0] | row for row in bad])
    collect({table: [] for table in SHARDED}, index, tmp_path, CONFIG)
    rows = {row["scan_id"]: row for row in read(tmp_path, "scans")}
    assert {scan_id: row["is_other_image"] for scan_id, row in rows.items()} == {
        "a": True,
        "b": False,
        "c": True,
        "d": False,
    }
    for row in rows.values():
        assert (row["modality"], row["acquisition"], row["manufacturer"]) == ("T1w", "sag", "GE")
        assert row["dim_si_n"] is None


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Shards of 40 scans with body volumes around 20,000 mm3; the last one has an odd L1."""
    names = [f"m{number:02d}" for number in range(40)]
    monkeypatch.setattr("columna.assess.cohort_rules.MIN_SCANS", 40)
    monkeypatch.setattr(f"{__name__}.IDENTITY", {name: (name, None) for name in names})
    scans = [scan_rows(name, snr_csf=7 + 0.01 * place) for place, name in enumerate(names)]
    for place, scan in enumerate(scans):
        for row in scan["vertebrae"]:
            row["body_volume_mm3"] = 20000.0 + 10 * (place % 20)
    scans[-1]["vertebrae"][0]["body_volume_mm3"] += 600.0
    return write_batches(tmp_path / "shards", [scans[::2], scans[1::2]]), index_of(*names)


def test_odd_values_stand_out_from_the_cohort(many, tmp_path):
    files, index = many
    counts = collect(files, index, tmp_path, CONFIG)
    reference = {(r["rule_id"], r["item"]): r for r in read(tmp_path, "cohort_reference")}
    l1 = reference["cohort_body_volume", "L1"]
    assert (l1["scans_n"], l1["median"], l1["level_order"]) == (40, 20095.0, 21)
    assert l1["mad"] == 50.0
    assert reference["cohort_snr_csf", "scan"]["median"] == pytest.approx(7.195)
    [row] = [r for r in read(tmp_path, "quality") if r["comparator"] == "cohort_robust"]
    assert (row["scan_id"], row["rule_id"], row["item"]) == ("m39", "cohort_body_volume", "L1")
    assert row["value"] == pytest.approx((20790 - 20095) / (1.4826 * 50), abs=1e-3)
    assert (row["verdict"], row["low"], row["high"]) == ("fail", -5, 5)
    assert row["rule_version"] == f"1.0.0+{l1['reference_version']}"
    assert counts["quality"] == 40 * len(needed_answers()) + 1
    rows = {r["scan_id"]: r for r in read(tmp_path, "scans")}
    assert rows["m39"]["qc_reasons"] == "cohort_body_volume"
    assert rows["m38"]["qc_verdict"] == "pass"


def groups_of(index, **columns):
    """The index with other columns; ``Sex`` takes the place of ``sex``."""
    for name, values in columns.items():
        if name.lower() in index.column_names:
            index = index.drop_columns(name.lower())
        index = index.append_column(name, pa.array(values, pa.string()))
    return index


def test_measures_are_compared_with_the_same_sex_and_age_group(many, tmp_path, monkeypatch):
    """A body that is usual among the men stands out among the women."""
    files, index = many
    monkeypatch.setattr("columna.assess.cohort_rules.MIN_STRATUM", 19)
    women = [place % 20 < 10 for place in range(40)]  # 20,000 to 20,090; men up to 20,190
    index = groups_of(
        index,
        Sex=["f" if w else "Male" for w in women],
        age=["45" if place != 7 else "n/a" for place in range(40)],
    )
    collect(files, index, tmp_path, CONFIG, ["age", "sex"])
    medians = {
        (r["item"], r["stratum"]): r["median"]
        for r in read(tmp_path, "cohort_reference")
        if r["rule_id"] == "cohort_body_volume"
    }
    assert medians["L1", "all"] == 20095
    assert medians["L1", "female, 40 to 59 years"] == 20040  # without the one of unknown age
    assert medians["L1", "male, 40 to 59 years"] == 20145
    [row] = [r for r in read(tmp_path, "quality") if r["comparator"] == "cohort_robust"]
    assert row["scan_id"] == "m39"
    assert row["value"] == pytest.approx((20790 - 20145) / (1.4826 * 25), abs=0.2)
    monkeypatch.setattr("columna.assess.cohort_rules.MIN_STRATUM", 21)
    collect(files, index, tmp_path, CONFIG, ["age", "sex"])
    assert {r["stratum"] for r in read(tmp_path, "cohort_reference")} == {"all"}


def test_a_site_that_differs_fires_as_a_group_and_fails_nobody(many, tmp_path, monkeypatch):
    files, index = many
    monkeypatch.setattr("columna.assess.cohort_rules.MIN_GROUP", 9)
    sites = ["north" if place < 10 else "south" for place in range(40)]  # snr grows with the place
    collect(files, groups_of(index, site=sites), tmp_path, CONFIG, ["site"])
    drift = {
        (r["group_kind"], r["group_name"], r["rule_id"]): r for r in read(tmp_path, "cohort_drift")
    }
    north = drift["site", "north", "cohort_snr_csf"]
    assert north["scans_n"] == 10
    assert north["median_z"] == pytest.approx((7.045 - 7.195) / (1.4826 * 0.1), abs=1e-2)
    assert north["verdict"] == ("review" if abs(north["certainty"]) > 5 else "ok")
    monkeypatch.setattr("columna.assess.cohort_rules.SURE", 2)
    collect(files, groups_of(index, site=sites), tmp_path, CONFIG, ["site"])
    fired = [r for r in read(tmp_path, "quality") if r["rule_id"] == "drift_site"]
    assert {r["scan_id"] for r in fired} == {f"m{place:02d}" for place in range(10)}
    assert {(r["verdict"], r["domain"]) for r in fired} == {("review", "image")}
    rows = {r["scan_id"]: r for r in read(tmp_path, "scans")}
    assert rows["m00"]["qc_verdict"] == "pass"
    assert rows["m00"]["qc_other_reasons"] == "drift_site"
    # a cohort of one site has nothing to drift from
    collect(files, groups_of(index, site=["north"] * 40), tmp_path, CONFIG, ["site"])
    assert not [r for r in read(tmp_path, "cohort_drift") if r["group_kind"] == "site"]


@pytest.mark.parametrize(
    ("age", "group"),
    [
        ("45", "40 to 59 years"),
        (45.0, "40 to 59 years"),
        ("045Y", "40 to 59 years"),
        ("17.9", "0 to 17 years"),
        ("90+", "80 to 120 years"),
        ("1975", None),
        ("-3", None),
        ("n/a", None),
        (None, None),
    ],
)
def test_ages_as_people_write_them(age, group):
    assert age_group(age) == group


def test_too_small_a_cohort_is_no_reference(many, tmp_path, monkeypatch):
    files, index = many
    monkeypatch.setattr("columna.assess.cohort_rules.MIN_SCANS", 41)
    counts = collect(files, index, tmp_path, CONFIG)
    assert counts["cohort_reference"] == 0
    assert counts["quality"] == 40 * len(needed_answers())
