"""Sheets and folders as people have them: words for missing, ~, +, hidden files, same outputs."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.cohort.index import build_index
from columna.cohort.ledger import read_ledger
from columna.cohort.owned import owned_paths
from columna.cohort.row_checks import check_duplicates
from columna.cohort.sheet import read_sheet
from columna.errors import CohortError
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout
from columna.results.manifest import list_batches, manifest_path, read_manifest
from columna.results.store import Record, Store


def index(cohort, folder):
    """Rows of the index of `cohort`, and its scans."""
    build_index(cohort, folder / "out", 32)
    batches = list_batches(folder / "out")
    entries = [e for b in batches for e in read_manifest(manifest_path(folder / "out", b))]
    return pd.read_parquet(folder / "out/scans.parquet"), {e.scan_id: e for e in entries}


def sheet_of(folder, text, name="cohort.tsv"):
    (folder / name).write_text(text)
    return folder / name


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


# --- words for no value ---


@pytest.mark.parametrize(
    "word", ["", "NA", "NaN", "nan", "N/A", "n/a", "None", "<NA>", "NULL", " NA ", "#N/A"]
)
def test_words_for_no_value(tmp_path, word):
    images(tmp_path, "sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz")
    head = "participant_id\tsession_id\tscan_id\tpath\tsemantic\tinstance\n"
    rows = [f"sub-0{n}\t{word}\t{word}\tsub-0{n}_T2w.nii.gz\t{word}\t{word}\n" for n in (1, 2)]
    found, scans = index(sheet_of(tmp_path, head + "".join(rows)), tmp_path)
    assert found["input_status"].tolist() == ["ok", "ok"]
    assert set(scans) == {"sub-01_T2w", "sub-02_T2w"}
    assert {(s.session_id, s.has_masks) for s in scans.values()} == {(None, False)}
    rows = f"sub-01\t\t\t{word}\t\t\n{word}\t\t\tsub-01_T2w.nii.gz\t\t\n"
    found, _ = index(sheet_of(tmp_path, head + rows, "b.tsv"), tmp_path)
    assert found["input_status"].tolist() == ["bad_row", "bad_row"]
    assert found["reason"].str.contains("words such as n/a, NA").all()


def test_blanks_around_values_and_names(tmp_path):
    images(tmp_path, "a_T2w.nii.gz", "s.nii.gz", "v.nii.gz")
    text = " participant_id ,path , scan_id,semantic,instance\n"
    text += " p , a_T2w.nii.gz , s1 , s.nii.gz,v.nii.gz \n"
    found, scans = index(sheet_of(tmp_path, text, "c.csv"), tmp_path)
    assert found["input_status"].tolist() == ["ok"]
    assert scans["s1"].participant_id == "p"
    assert scans["s1"].instance == tmp_path / "v.nii.gz"


def test_one_person_whose_name_is_written_in_two_ways(tmp_path):
    """An accented letter is one sign, or a letter and an accent."""
    images(tmp_path, "a_T2w.nii.gz", "b_T2w.nii.gz")
    text = "participant_id\tpath\n\u00e91\ta_T2w.nii.gz\ne\u03011\tb_T2w.nii.gz\n"
    found, _ = index(sheet_of(tmp_path, text), tmp_path)
    assert found["participant_id"].tolist() == ["\u00e91"] * 2


def test_numbers_as_ids_stay_as_they_are_written(tmp_path):
    names = ["007", "7", "1e5", "100000", "1.0", "2024-01-02", "0x10", "-1_000"]
    images(tmp_path, *(f"{name}_T2w.nii.gz" for name in names))
    rows = [f"{name}\t{name.strip('-')}\t{name}_T2w.nii.gz\n" for name in names]
    text = "participant_id\tscan_id\tpath\n" + "".join(rows)
    found, scans = index(sheet_of(tmp_path, text), tmp_path)
    assert found["participant_id"].tolist() == names
    assert set(scans) == {name.strip("-") for name in names}


@pytest.mark.parametrize("name", ["c.tsv", "c.csv", "c.parquet"])
def test_a_pointer_in_place_of_a_sheet_is_told(tmp_path, name):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n"
    with pytest.raises(CohortError, match="Git LFS pointer"):
        read_sheet(sheet_of(tmp_path, text, name))


# --- Parquet ---


def test_nested_parquet_columns_are_kept_as_text(tmp_path):
    images(tmp_path, "a_T2w.nii.gz", "b_T2w.nii.gz")
    table = pa.table(
        {
            "participant_id": pa.array(["p", "q"]).dictionary_encode(),
            "path": ["a_T2w.nii.gz", "b_T2w.nii.gz"],
            "ImageType": [["ORIGINAL", "PRIMARY"], None],
            "meta": [{"a": 1, "b": b"\xff"}, None],
            "hash": [b"\xff\xfe", b"text"],
            "pairs": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int32())),
            "lasts": pa.array([5, None], pa.duration("s")),
            "half": pa.array([None, 1.5], pa.float16()),
            "nothing": pa.nulls(2),
            "day": pa.array([0, 1], pa.date32()),
        }
    )
    pq.write_table(table, tmp_path / "c.parquet")
    found, scans = index(tmp_path / "c.parquet", tmp_path)
    assert set(scans) == {"a_T2w", "b_T2w"}
    first = found.iloc[0]
    assert json.loads(first["ImageType"]) == ["ORIGINAL", "PRIMARY"]
    assert json.loads(first["meta"]) == {"a": 1, "b": "ff"}
    assert (first["hash"], first["day"]) == ("fffe", "1970-01-01")
    assert found["ImageType"].isna().tolist() == [False, True]


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=40)
def test_any_byte_of_a_parquet_sheet(tmp_path_factory, place, byte):
    folder = tmp_path_factory.mktemp("p")
    (folder / "a.nii").touch()
    path = folder / "c.parquet"
    rows = {"participant_id": ["p"] * 9, "scan_id": [f"s{n}" for n in range(9)], "path": "a.nii"}
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(rows)), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    told = str(path)
    try:
        assert len(read_sheet(path)) == 9
    except CohortError as error:
        told = str(error)
    assert str(path) in told


# --- paths ---


def test_home_and_variables_in_the_paths_of_a_sheet(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(images(tmp_path / "home", "h_T2w.nii.gz")))
    monkeypatch.setenv("STUDY", str(images(tmp_path / "study", "s_T2w.nii.gz", "m.nii.gz")))
    monkeypatch.delenv("NOT_SET", raising=False)
    images(tmp_path, "$STUDY_T2w.nii.gz", "a$b_T2w.nii.gz", "~x_T2w.nii.gz")
    rows = [
        "p\th\t~/h_T2w.nii.gz\t\t",
        "p\ts\t$STUDY/s_T2w.nii.gz\t\t",
        "p\tm\t${STUDY}/s_T2w.nii.gz\t~/../study/m.nii.gz\t$STUDY/m.nii.gz",
        "p\td\ta$b_T2w.nii.gz\t\t",
        "p\tt\t~x_T2w.nii.gz\t\t",
        "p\tu\t$NOT_SET/a_T2w.nii.gz\t\t",
        "p\tn\t~nobody-here/a_T2w.nii.gz\t\t",
        "p\tv\t$STUDY/gone_T2w.nii.gz\t\t",
    ]
    head = "participant_id\tscan_id\tpath\tsemantic\tinstance\n"
    found, scans = index(sheet_of(tmp_path, head + "\n".join(rows) + "\n"), tmp_path)
    assert set(scans) == {"h", "s", "m", "d", "t"}
    assert scans["s"].path == tmp_path / "study/s_T2w.nii.gz"
    assert scans["m"].instance == tmp_path / "study/m.nii.gz"
    assert found["input_status"].tolist()[-3:] == ["bad_row", "bad_row", "missing_file"]
    assert "variable $NOT_SET is not set" in found["reason"].iloc[-3]
    assert "no user 'nobody-here'" in found["reason"].iloc[-2]


# --- BIDS folders ---


def test_labels_with_a_plus(tmp_path):
    names = ["sub-05+06/anat/sub-05+06_T2w", "sub-07/anat/sub-07_acq-sag+fs_T2w"]
    names += ["sub-08/ses-1+2/anat/sub-08_ses-1+2_T2w", "sub-0506/anat/sub-0506_T2w"]
    images(tmp_path / "bids", *(f"{name}.nii.gz" for name in names))
    found, scans = index(tmp_path / "bids", tmp_path)
    assert found["input_status"].eq("ok").all()
    assert set(scans) == {Path(name).name for name in names}
    assert scans["sub-08_ses-1+2_T2w"].session_id == "ses-1+2"
    delivered = Derivatives(Path("d"), "sub-08_ses-1+2_T2w")
    assert delivered.folder == Path("d/sub-08/ses-1+2/anat")


def test_hidden_files_are_no_inputs(tmp_path):
    images(tmp_path / "b", "sub-2/anat/sub-2_T2w.nii.gz", "sub-2/anat/._sub-2_T2w.nii.gz")
    images(tmp_path / "b", "sub-2/._anat/sub-2_T2w.nii", "._top.nii.gz", "sub-2/.x.nii")
    found, scans = index(tmp_path / "b", tmp_path)
    assert (len(found), set(scans)) == (1, {"sub-2_T2w"})


def test_left_out_files_keep_what_is_known_of_them(tmp_path):
    folder = images(
        tmp_path / "b",
        "sub-1/anat/sub-1_acq-ax_run-2_T2w.nii.gz",
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_T2w.nii.gz",
    )
    (folder / "T2w.json").write_text('{"Manufacturer": "GE", "PatientName": "MUSTERMANN"}')
    (folder / "sub-1/anat/sub-1_T1w.json").write_text('{"MagneticFieldStrength": 3}')
    found, _ = index(folder, tmp_path)
    facts = found.set_index("scan_id")["input_facts"]
    axial = json.loads(facts["sub-1_acq-ax_run-2_T2w"])
    assert axial == {"modality": "T2w", "acquisition": "ax", "run": 2, "manufacturer": "GE"}
    assert json.loads(facts["sub-1_T1w"]) == {"modality": "T1w", "field_strength_t": 3.0}
    assert facts["sub-1_T2w"] is None
    assert "MUSTERMANN" not in facts.to_string()


def test_other_images_are_told_apart_from_failures(tmp_path):
    images(tmp_path, "a_T2w.nii.gz", "a_T1w.nii.gz", "a_ax_T2w.nii.gz")
    rows = "p\ta_T2w.nii.gz\np\ta_T1w.nii.gz\np\tgone_T2w.nii.gz\n"
    text = str(
        build_index(sheet_of(tmp_path, f"participant_id\tpath\n{rows}"), tmp_path / "out", 2)
    )
    assert "1 left out: missing_file" in text
    assert "1 no sagittal T2w scan: wrong_modality" in text


# --- two scans never own one file ---


def rows_of(*scan_ids):
    rows = pd.DataFrame({"scan_id": list(scan_ids), "input_status": "ok"}, dtype=object)
    return rows.assign(reason=None)


CLASHES = [
    ("sub-9_T2w", "sub-9"),
    ("sub-9", "sub-9_T2w"),
    ("sub-9_T2w", "SUB-9_T2W"),
    ("sub-9_t2w", "sub-9_T2w"),
    ("sub-9_ses-1_acq-x_t2w", "sub-9_ses-1_acq-X"),
]


@pytest.mark.parametrize(("first", "second"), CLASHES)
def test_the_second_of_two_scans_with_the_same_files_is_left_out(first, second):
    rows = rows_of(first, second, "sub-8_T2w")
    check_duplicates(rows)
    assert rows["input_status"].tolist() == ["ok", "duplicate_scan", "ok"]
    assert "scan_id" in rows.loc[1, "reason"]


@pytest.mark.parametrize(("later", "earlier"), CLASHES)
def test_a_scan_added_later_takes_no_file_of_an_earlier_one(tmp_path, later, earlier):
    images(tmp_path, "a.nii", "b.nii")
    head, row = "participant_id\tscan_id\tpath\n", f"p\t{earlier}\ta.nii\n"
    index(sheet_of(tmp_path, head + row), tmp_path)
    text = f"{head}p\t{later}\tb.nii\n{row}"
    found, scans = index(sheet_of(tmp_path, text), tmp_path)
    assert set(scans) == {earlier}
    assert found["input_status"].tolist() == ["duplicate_scan", "ok"]
    assert list(read_ledger(tmp_path / "out/ledger.tsv")) == [earlier]


def test_scans_of_similar_names_are_told_apart():
    rows = rows_of("sub-9_T2w", "sub-9_mod-T2w", "sub-9_MR", "Dataset_Description.json", "other")
    check_duplicates(rows)
    assert set(rows["input_status"]) == {"ok"}


PARTS = st.sampled_from(
    [
        *(
            "sub-1",
            "sub-A",
            "sub-a",
            "ses-1",
            "acq-x",
            "mod-T2w",
            "desc-MR",
            "desc-mr",
            "seg-spine",
        ),
        *("T2w", "t2w", "MR", "anat", "a", "other"),
    ]
)


@given(st.lists(st.lists(PARTS, min_size=1, max_size=4).map("_".join), max_size=12))
def test_accepted_scans_own_their_files_alone(scan_ids):
    rows = rows_of(*scan_ids)
    check_duplicates(rows)
    accepted = rows.loc[rows["input_status"] == "ok", "scan_id"]
    written = [path for scan_id in accepted for path in owned_paths(scan_id)]
    assert len(written) == len(set(written))
    for scan_id in accepted:
        files = [f.as_posix().lower() for f in Derivatives(Path("derivatives"), scan_id).files]
        assert set(files) < set(owned_paths(scan_id))


def test_a_record_of_another_scan_is_none(tmp_path):
    layout = Layout(tmp_path)
    store = Store(layout)
    store.write(Record("prepare", "S1", "f", "done"))
    layout.record("S1").rename(layout.record("s1"))
    assert store.read("s1", "prepare") is None
