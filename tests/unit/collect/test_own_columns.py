"""Age and sex of the cohort's own files join the tables, and nothing else of them does."""

import json
import logging

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from columna.cohort.index import build_index
from columna.collect.collect import collect
from columna.collect.export import export_csv, export_stata
from columna.collect.own_columns import collect_participants, own_entries
from columna.config import Config
from columna.tables.catalogue import SHARDED
from columna.tables.delivered import as_delivered

DEFAULT = Config().participant_columns
CONFIG = "c" * 64


def bids(root, *scans):
    for name in scans:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(line.split("|")) + "\n" for line in lines))


def participants(cohort, folder, wanted=DEFAULT):
    """Rows of the table by scan_id, its declaration, and the index."""
    build_index(cohort, folder / "index", 8)
    index = pq.read_table(folder / "index/scans.parquet")
    table, rows = collect_participants(index, wanted)
    frame = rows.to_pandas().set_index("scan_id")
    return frame, table, index


SCANS = [
    "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_T2w.nii.gz",
    "sub-02/anat/sub-02_T2w.nii.gz",
    "sub-03/anat/sub-03_T2w.nii.gz",
    "sub-03/anat/sub-03_T1w.nii.gz",
]


def test_a_bids_folder_tells_age_and_sex(tmp_path):
    root = bids(tmp_path / "b", *SCANS)
    write(
        root / "participants.tsv",
        "participant_id|Age|sex|name|site",
        "sub-01|40|F|MUSTERMANN|007",
        "02|n/a|M|X|n/a",
        "sub-09|9|F|Y|1",
    )
    described = {"Age": {"Description": "Age at entry", "Units": "years", "Odd": float("nan")}}
    described |= {"sex": {"Levels": {"F": "female", "M": {"Description": "male"}}}, "site": 3}
    (root / "participants.json").write_text(json.dumps(described))
    write(root / "sub-01/sub-01_sessions.tsv", "session_id|age|acq_time", "ses-1|41|x", "2|42|x")
    frame, table, index = participants(root, tmp_path)
    assert list(frame.columns) == ["participant_id", "session_id", "age", "sex", "site"]
    assert frame["age"].dtype == float
    assert frame["age"].dropna().tolist() == [41.0, 42.0]
    assert frame["sex"].to_dict() == {
        "sub-01_ses-1_T2w": "F",
        "sub-01_ses-2_T2w": "F",
        "sub-02_T2w": "M",
        "sub-03_T1w": None,
        "sub-03_T2w": None,
    }
    assert frame["site"].dropna().unique().tolist() == ["007"]
    entries = own_entries(index, table)
    assert entries["sex"] == {"Levels": {"F": "female", "M": "male"}}
    assert entries["age"] == {"Description": "Age at entry", "Units": "years"}
    assert table["age"].description == "Age at entry. Units: years."


def test_sessions_win_over_participants(tmp_path):
    root = bids(tmp_path / "b/rawdata", *SCANS)
    write(root / "participants.tsv", "participant_id|age|sex", "sub-01|40|F", "sub-02|50|M")
    write(root / "sub-01/sub-01_sessions.tsv", "session_id|age", "ses-1|41", "2|42.5")
    (root / "sub-01/sub-01_sessions.json").write_text('{"age": {"Description": "At the scan."}}')
    frame, table, _ = participants(tmp_path / "b", tmp_path)
    assert frame["age"].to_dict() | {"sub-03_T2w": None, "sub-03_T1w": None} == {
        "sub-01_ses-1_T2w": 41.0,
        "sub-01_ses-2_T2w": 42.5,
        "sub-02_T2w": 50.0,
        "sub-03_T1w": None,
        "sub-03_T2w": None,
    }
    assert table["age"].description == "At the scan."


def test_one_table_of_sessions_at_the_root(tmp_path):
    root = bids(tmp_path / "b", *SCANS)
    write(
        root / "sessions.tsv",
        "participant_id|session_id|age",
        "sub-01|ses-1|41",
        "sub-01|ses-2|43",
        "sub-02|n/a|50",
    )
    frame, _, _ = participants(root, tmp_path)
    known = frame["age"].dropna().to_dict()
    assert known == {"sub-01_ses-1_T2w": 41.0, "sub-01_ses-2_T2w": 43.0, "sub-02_T2w": 50.0}


def test_what_contradicts_itself_says_nothing(tmp_path, caplog):
    root = bids(tmp_path / "b", *SCANS)
    write(
        root / "participants.tsv",
        "participant_id|age|sex",
        "sub-01|40|F",
        "sub-01|60|F",
        "sub-02|50|M|more",
        "sub-03|30|M",
    )
    with caplog.at_level(logging.WARNING):
        frame, _, _ = participants(root, tmp_path)
    assert frame["age"].dropna().to_dict() == {"sub-03_T1w": 30.0, "sub-03_T2w": 30.0}
    assert frame.loc["sub-01_ses-1_T2w", "sex"] == "F"
    assert "participants.tsv: line 3" in caplog.text
    assert "participants.tsv: line 4" in caplog.text


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"name\tage\nx\t3\n", b"", b'participant_id\t"x\n']
)
def test_an_unusable_table_stops_nothing(tmp_path, caplog, content):
    root = bids(tmp_path / "b", *SCANS)
    (root / "participants.tsv").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        frame, _, _ = participants(root, tmp_path)
    assert len(frame) == len(SCANS)
    assert "participants.tsv" in caplog.text


def test_columns_of_the_workflow_are_not_taken_from_a_dataset(tmp_path):
    root = bids(tmp_path / "b", *SCANS)
    write(root / "participants.tsv", "participant_id|path|semantic|batch|age", "sub-02|x|y|z|5")
    frame, _, index = participants(root, tmp_path, ["age", "path", "semantic", "batch", "scan_id"])
    assert list(frame.columns) == ["participant_id", "session_id", "age"]
    assert index["input_status"].to_pylist().count("ok") == 4
    assert "semantic" not in index.column_names


SHEET = """participant_id,path,Age (years),SEX,name,weight,code,zero,day
p,a_T2w.nii.gz, 40 ,F,MUSTERMANN,"1,5",3,0,1964-08-12
p,b_T2w.nii.gz,NA,n/a,MUSTERMANN,70,4,-1.5,NA
q,gone_T2w.nii.gz,50.5,M,MUSTERMANN,80,123456789012345678,2,NA
q,c_T1w.nii.gz,60,M,MUSTERMANN,80,5,None,NA
"""


def test_further_columns_of_a_sheet(tmp_path):
    bids(tmp_path, "a_T2w.nii.gz", "b_T2w.nii.gz", "c_T1w.nii.gz")
    (tmp_path / "c.csv").write_text(SHEET)
    (tmp_path / "c.json").write_text('{"SEX": {"LongName": "Sex"}}')
    wanted = ["age_years", "Sex", "WEIGHT", "code", "zero", "Age (Years)", "absent"]
    frame, table, _ = participants(tmp_path / "c.csv", tmp_path, wanted)
    assert list(frame.columns[2:]) == ["age_years", "sex", "weight", "code", "zero"]
    assert frame["age_years"].tolist()[:1] + frame["age_years"].tolist()[2:] == [40.0, 60.0, 50.5]
    assert frame["sex"].tolist() == ["F", None, "M", "M"]
    assert frame["weight"].tolist() == ["1,5", "70", "80", "80"]  # a decimal comma is no number
    assert frame["code"].tolist()[-1] == "123456789012345678"  # nor does a float hold this
    assert frame["zero"].tolist()[:2] == [0.0, -1.5]
    assert table["sex"].description == "Sex."


def test_nothing_personal_comes_along_by_default(tmp_path):
    bids(tmp_path, "a_T2w.nii.gz", "b_T2w.nii.gz", "c_T1w.nii.gz")
    (tmp_path / "c.csv").write_text(SHEET)
    frame, _, _ = participants(tmp_path / "c.csv", tmp_path)
    assert list(frame.columns) == ["participant_id", "session_id", "sex"]


def test_every_input_has_its_row_under_the_name_that_scans_gives_it(tmp_path):
    bids(tmp_path, "a_T2w.nii.gz", "b_T2w.nii.gz")
    rows = "p\tx\ta_T2w.nii.gz\t1\np\tx\tb_T2w.nii.gz\t2\n\ty\tb_T2w.nii.gz\t3\np\tz\tgone.nii\t4\n"
    (tmp_path / "c.tsv").write_text(f"participant_id\tscan_id\tpath\tage\n{rows}")
    frame, _, _ = participants(tmp_path / "c.tsv", tmp_path)
    assert frame["age"].to_dict() == {"x": 1.0, "row-0000002": 2.0, "y": 3.0, "z": 4.0}


def left_out_index():
    rows = [
        {
            "participant_id": "p",
            "session_id": None,
            "scan_id": f"s{number}",
            "path": "secret",
            "input_status": "missing_file",
            "reason": "No file.",
            "age": str(number),
            "Größe": "x" * number,
        }
        for number in range(3)
    ]
    return pa.Table.from_pylist(rows)


def test_delivered_with_its_dictionary_and_exported(tmp_path):
    shards = {table: [] for table in SHARDED}
    counts = collect(shards, left_out_index(), tmp_path, CONFIG, ["age", "größe"])
    assert counts["participants"] == 3
    frame = pd.read_parquet(tmp_path / "participants.parquet")
    assert frame["age"].tolist() == [0.0, 1.0, 2.0]
    assert list(json.loads((tmp_path / "participants.json").read_text())) == list(frame.columns)
    dictionary = pd.read_parquet(tmp_path / "columns.parquet")
    named = dictionary.loc[dictionary["table"] == "participants", "column"]
    assert named.tolist() == list(frame.columns)
    table = as_delivered(SHARDED["scans"], tmp_path / "scans.parquet")
    assert table is SHARDED["scans"]
    [csv_file] = export_csv(tmp_path, tmp_path / "csv", ["participants"])
    assert list(pd.read_csv(csv_file).columns) == list(frame.columns)
    package = json.loads((tmp_path / "csv/datapackage.json").read_text())
    fields = package["resources"][0]["schema"]["fields"]
    assert [field["name"] for field in fields] == list(frame.columns)
    [stata_file] = export_stata(tmp_path, tmp_path / "stata", ["participants"])
    assert pd.read_stata(stata_file)["age"].tolist() == [0.0, 1.0, 2.0]


def test_equal_cohorts_give_equal_bytes(tmp_path):
    index = left_out_index()
    for name, rows in (("one", index), ("two", index.take([2, 0, 1]))):
        collect({t: [] for t in SHARDED}, rows, tmp_path / name, CONFIG, ["age"])
    one, two = (tmp_path / n / "participants.parquet" for n in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
