import csv
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.cohort.index import build_index
from columna.cohort.ledger import read_ledger
from columna.cohort.sheet import read_sheet
from columna.config import Config
from columna.errors import CohortError
from columna.results.layout import Layout
from columna.results.manifest import list_batches, manifest_path, read_manifest
from columna.results.names import SCAN_ID
from columna.upkeep.status import cohort_status, print_status

REASONS = Path(__file__).parents[3] / "resources" / "reasons.tsv"


def make_sheet(folder: Path, rows: list[dict], name: str = "cohort.tsv") -> Path:
    """A sheet in the format that `name` asks for, and an empty file for every row."""
    for row in rows:
        (folder / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / row["path"]).touch()
    frame, path = pd.DataFrame(rows), folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    return path


def scan_rows(count: int) -> list[dict]:
    return [
        {"participant_id": f"p{n}", "scan_id": f"s{n:03d}", "path": f"data/{n}.nii.gz", "age": n}
        for n in range(count)
    ]


def stamps(folder: Path) -> dict[str, int]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in files}


def all_entries(out: Path) -> list:
    return [e for b in list_batches(out) for e in read_manifest(manifest_path(out, b))]


def write_raw(folder: Path, text: str | bytes, name: str = "cohort.tsv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_three_formats_are_equal(tmp_path):
    rows = [r | {"session_id": None if i % 2 else "01"} for i, r in enumerate(scan_rows(4))]
    frames = [read_sheet(make_sheet(tmp_path, rows, f"c.{s}")) for s in ("tsv", "csv", "parquet")]
    assert list(frames[0]["input_status"]) == ["ok"] * 4
    assert list(frames[0]["age"]) == ["0", "1", "2", "3"]
    for other in frames[1:]:
        pd.testing.assert_frame_equal(frames[0], other[frames[0].columns])


def test_excel_habits_are_tolerated(tmp_path):
    (tmp_path / "a b.nii.gz").touch()
    text = '\ufeffparticipant_id,path,note\r\n P7 ,a b.nii.gz,"two, ""quoted"""\r\n\r\n'
    rows = read_sheet(write_raw(tmp_path, text, "cohort.csv"))
    assert rows.loc[0, ["participant_id", "scan_id", "note"]].tolist() == [
        "P7",
        "a b",
        'two, "quoted"',
    ]
    assert rows.loc[0, "input_status"] == "bad_row"  # "a b" cannot be a folder name
    assert "scan_id" in rows.loc[0, "reason"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("c.tsv", "participant_id\tscan_id\n", "'path'"),
        ("c.tsv", "path\n", "'participant_id'"),
        ("c.tsv", "participant_id\tpath\tage\tage\n", "'age'"),
        ("c.tsv", "participant_id\tpath\tbatch\n", "'batch'"),
        ("c.tsv", "", "'path'"),
        ("c.tsv", 'participant_id\t"path\na\tb\n', "line 1: the header has a quote"),
        ("c.tsv", "participant_id\tpath\nM\xfcller\ta.nii".encode("latin-1"), "line 2: not UTF-8"),
        ("c.parquet", "no parquet", "cannot be read"),
        ("c.xlsx", "", ".parquet"),
    ],
)
def test_unusable_sheets_say_what_is_wrong(tmp_path, name, content, told):
    path = write_raw(tmp_path, content, name)
    with pytest.raises(CohortError, match=told) as caught:
        build_index(path, tmp_path / "out", 32)
    assert str(path) in str(caught.value)


def test_every_row_gets_its_reason(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz", "c.nii", "d.mgz", "sub-1_CT.nii.gz", "x_seg.nii.gz"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii.gz").mkdir()
    (tmp_path / "link.nii.gz").symlink_to(".git/annex/objects/xx")
    expected = {
        "p\ts1\ta.nii.gz": "ok",
        "p\ts1\tb.nii.gz": "duplicate_scan",
        "p\tS1\tb.nii.gz": "duplicate_scan",
        "p\t\tc.nii": "ok",
        "\ts2\ta.nii.gz": "bad_row",
        "n/a\ts2\ta.nii.gz": "bad_row",
        "p\ts2\t": "bad_row",
        "p\ts2": "bad_row",
        "p\ts2\ta.nii.gz\textra": "bad_row",
        "p\t../s2\ta.nii.gz": "bad_row",
        "p\t.\ta.nii.gz": "bad_row",
        f"p\t{'s' * 121}\ta.nii.gz": "bad_row",
        "../p\ts2\ta.nii.gz": "bad_row",
        "..\ts2\ta.nii.gz": "bad_row",
        'p\ts2\t"a\nb.nii.gz"': "bad_row",
        "p\ts3\td.mgz": "not_nifti",
        "p\ts4\tsub-1_CT.nii.gz": "wrong_modality",
        "p\ts5\tx_seg.nii.gz": "derived_image",
        "p\ts6\tgone.nii.gz": "missing_file",
        "p\ts7\tfolder.nii.gz": "missing_file",
        "p\ts8\tlink.nii.gz": "missing_file",
        "p\ts9\ta.nii.gz/b.nii.gz": "missing_file",
    }
    sheet = write_raw(tmp_path, "\n".join(["participant_id\tscan_id\tpath", *expected]) + "\n")
    summary = build_index(sheet, tmp_path / "out", 32)
    rows = pd.read_parquet(tmp_path / "out/scans.parquet")
    assert list(rows["input_status"]) == list(expected.values())
    assert rows["reason"].isna().equals(rows["input_status"].eq("ok"))
    assert rows["batch"].notna().equals(rows["input_status"].eq("ok"))
    assert {e.scan_id for e in all_entries(tmp_path / "out")} == {"s1", "c"}
    assert summary.rows_n == len(expected) == sum(summary.input_status_n.values())
    known = set(pd.read_csv(REASONS, sep="\t")["code"]) | {"ok"}
    assert set(rows["input_status"]) <= known


def test_relative_paths_count_from_the_sheet(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    sheet = make_sheet(tmp_path / "study", scan_rows(1))
    (tmp_path / "abs.nii.gz").touch()
    with open(sheet, "a") as stream:
        stream.write(f"p\tabs\t{tmp_path}/abs.nii.gz\t9\n")
    monkeypatch.chdir(tmp_path)
    build_index(Path("study/cohort.tsv"), Path("out"), 32)
    paths = [str(e.path) for e in all_entries(Path("out"))]
    assert paths == [f"{tmp_path}/abs.nii.gz", f"{tmp_path}/study/data/0.nii.gz"]
    monkeypatch.chdir(tmp_path / "study")
    assert read_sheet(Path("cohort.tsv")).loc[0, "path"] == "data/0.nii.gz"


def test_again_writes_nothing(tmp_path):
    sheet = make_sheet(tmp_path, scan_rows(10))
    first = build_index(sheet, tmp_path / "out", 4)
    before = stamps(tmp_path / "out")
    assert build_index(sheet, tmp_path / "out", 4) == first
    assert stamps(tmp_path / "out") == before
    assert len(before) == 3 + 3  # scans, ledger, index; three manifests


def test_index_is_the_same_from_every_working_folder(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    sheet = make_sheet(tmp_path / "study", scan_rows(10))
    contents = []
    for folder, given_as in (("study", "cohort.tsv"), (".", "study/cohort.tsv"), ("/", sheet)):
        monkeypatch.chdir(tmp_path / folder)
        out = tmp_path / f"out{len(contents)}"
        build_index(Path(given_as), out, 4)
        contents.append({p.name: p.read_bytes() for p in out.rglob("*.*") if p.is_file()})
    assert contents[0] == contents[1] == contents[2]


def test_adding_scans_leaves_finished_batches_untouched(tmp_path):
    out = tmp_path / "out"
    build_index(make_sheet(tmp_path, scan_rows(100)), out, 8)
    before = stamps(out)
    extra = [r | {"scan_id": f"a{r['scan_id']}"} for r in scan_rows(9)]  # sort before the old ones
    build_index(make_sheet(tmp_path, extra + scan_rows(100)), out, 8)
    changed = {n for n, t in stamps(out).items() if n.startswith("batches") and before.get(n) != t}
    assert changed == {"batches/b00013.tsv", "batches/b00014.tsv"}


def test_a_scan_that_leaves_and_returns_finds_its_batch(tmp_path):
    out = tmp_path / "out"
    build_index(make_sheet(tmp_path, scan_rows(4)), out, 1)
    sheet = make_sheet(tmp_path, scan_rows(4))
    (tmp_path / "data/2.nii.gz").unlink()
    build_index(sheet, out, 1)
    assert read_manifest(out / "batches/b00003.tsv") == []
    build_index(make_sheet(tmp_path, scan_rows(4)), out, 1)
    assert [e.scan_id for e in read_manifest(out / "batches/b00003.tsv")] == ["s002"]


def test_extra_columns_are_kept_as_given(tmp_path):
    rows = [r | {"Größe (cm)": "1,80", "sex": "n/a", "empty": ""} for r in scan_rows(2)]
    build_index(make_sheet(tmp_path, rows), tmp_path / "out", 2)
    found = pd.read_parquet(tmp_path / "out/scans.parquet")
    assert list(found.columns[-4:]) == ["age", "Größe (cm)", "sex", "empty"]
    assert found.loc[0, ["Größe (cm)", "sex"]].tolist() == ["1,80", "n/a"]
    assert found["empty"].isna().all()


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(text, text, text), max_size=12))
@settings(deadline=None, max_examples=60)
def test_rows_in_are_rows_out_whatever_the_names(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("odd")
    rows = pd.DataFrame(names, columns=["participant_id", "session_id", "scan_id"])
    rows["path"] = "a.nii"
    (folder / "a.nii").touch()
    rows.to_csv(folder / "c.tsv", sep="\t", index=False, quoting=csv.QUOTE_ALL)
    summary = build_index(folder / "c.tsv", folder / "out", 3)
    assert summary.rows_n == len(names)
    found = all_entries(folder / "out")
    assert summary.scans_n == len(found) == len({e.scan_id.lower() for e in found})
    assert set(read_ledger(folder / "out/ledger.tsv")) == {e.scan_id for e in found}
    for entry in found:
        assert SCAN_ID.fullmatch(entry.scan_id)
        assert (folder / entry.scan_id).parent == folder
        assert (folder / entry.participant_id).parent == folder


def test_an_unusable_batch_size_or_cohort(tmp_path):
    with pytest.raises(CohortError, match="batch_size"):
        build_index(make_sheet(tmp_path, scan_rows(1)), tmp_path / "out", 0)
    with pytest.raises(CohortError, match="no such"):
        build_index(tmp_path / "gone.tsv", tmp_path / "out", 1)


def _index(folder: Path, first: int) -> None:
    rows = scan_rows(40)[first : first + 20]
    build_index(make_sheet(folder, rows, f"c{first}.tsv"), folder / "out", 3)


def test_indexers_at_the_same_time_do_not_mix(tmp_path):
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_index, args=(tmp_path, n)) for n in (0, 5, 10, 15, 20)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * 5
    ledger = list(read_ledger(tmp_path / "out/ledger.tsv").values())
    assert len(ledger) == 40
    assert all(ledger.count(batch) == 3 for batch in set(ledger) - {"b00014"})


def test_summary_file_and_text(tmp_path):
    sheet = make_sheet(tmp_path, [*scan_rows(3), scan_rows(1)[0]])
    summary = build_index(sheet, tmp_path / "out", 2)
    content = json.loads((tmp_path / "out/index.json").read_text())
    assert content["input_status_n"] == {"duplicate_scan": 1, "ok": 3}
    assert content["batch_size"] == 2
    assert str(summary).splitlines()[0] == "3 scans in 2 batches, from 4 rows"


def test_snakefiles_can_list_batches_without_heavy_imports():
    code = "import sys, columna.results.manifest; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "numpy", "pyarrow", "nibabel", "torch"} & set(done.stdout.split())


# --- BIDS ---------------------------------------------------------------------------------------


def make_tree(root: Path, files: list[str]) -> Path:
    for name in files:
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def bids_rows(root: Path, out: Path) -> pd.DataFrame:
    build_index(root, out, 32)
    rows = pd.read_parquet(out / "scans.parquet")
    rows.index = rows["path"].str.removeprefix(f"{root}/")
    return rows


BIDS = {
    "sub-01/anat/sub-01_T2w.nii.gz": "ok",
    "sub-01/anat/sub-01_T1w.nii.gz": "wrong_modality",
    "sub-01/anat/sub-01_acq-ax_T2w.nii.gz": "wrong_acquisition",
    "sub-01/anat/sub-01_desc-manual_mask.nii.gz": "derived_image",
    "sub-01/anat/sub-01_seg-vert_T2w.nii.gz": "derived_image",
    "sub-01/anat/sub-01_MESE.nii.gz": "wrong_modality",
    "sub-01/dwi/sub-01_dwi.nii.gz": "wrong_modality",
    "sub-01/func/sub-01_task-rest_bold.nii": "wrong_modality",
    "sub-01/func/sub-01_T2w.nii.gz": "wrong_modality",
    "sub-02/ses-a/anat/sub-02_ses-a_acq-sag_run-1_T2w.nii.gz": "ok",
    "sub-02/ses-a/anat/sub-02_ses-a_acq-sag_run-1_T2w.nii": "duplicate_scan",
    "sub-02/ses-a/anat/sub-02_ses-a_T2w.mgz": "not_nifti",
    "sub-03/ses-1/anat/sub-03_T2w.nii.gz": "ok",
    "sub-03/ses-2/anat/sub-03_T2w.nii.gz": "ok",
    "sub-03/ses-2/anat/sub-03_ses-1_T2w.nii.gz": "not_bids",
    "sub-04/anat/sub-05_T2w.nii.gz": "not_bids",
    "sub-04/anat/T2w.nii.gz": "not_bids",
    "sub-04/sub-04_T2w.nii.gz": "not_bids",
    "sub-;rm -rf/anat/sub-;rm -rf_T2w.nii.gz": "not_bids",
    "sub-ü/anat/sub-ü_T2w.nii.gz": "not_bids",
    "sub-1\n2/anat/sub-1\n2_T2w.nii.gz": "not_bids",
    'sub-06/anat/sub-06_acq-"$(x)"_T2w.nii.gz': "bad_row",
    "sub-06/anat/sub-06_acq-a b\n_T2w.nii.gz": "bad_row",
    "extra/scan.nii.gz": "not_bids",
    "top_T2w.nii.gz": "not_bids",
}


@pytest.mark.parametrize("name", ["study", "study.v2 [final]"])
def test_bids_every_image_is_a_row_with_its_reason(tmp_path, name):
    others = [
        "dataset_description.json",
        "sub-01/anat/sub-01_T2w.json",
        "derivatives/x/sub-01/anat/sub-01_T2w.nii.gz",
        ".git/annex/objects/a.nii.gz",
        "sourcedata/a.nii.gz",
    ]
    rows = bids_rows(make_tree(tmp_path / name, [*BIDS, *others]), tmp_path / "out")
    assert rows["input_status"].to_dict() == BIDS
    entries = {e.scan_id: e for e in all_entries(tmp_path / "out")}
    assert set(entries) == {
        "sub-01_T2w",
        "sub-02_ses-a_acq-sag_run-1_T2w",
        "sub-03_ses-1_T2w",
        "sub-03_ses-2_T2w",
    }
    assert entries["sub-03_ses-2_T2w"].participant_id == "sub-03"
    assert entries["sub-03_ses-2_T2w"].session_id == "ses-2"
    assert entries["sub-01_T2w"].session_id is None


def test_bids_names_that_are_no_text(tmp_path):
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_acq-\udcff_T2w.nii.gz"])
    rows = bids_rows(root, tmp_path / "out")
    assert list(rows["input_status"]) == ["bad_row"]
    assert rows.index[0].endswith("sub-01_acq-\\xff_T2w.nii.gz")


def test_bids_rawdata_folder_links_and_loops(tmp_path):
    root = make_tree(tmp_path / "b", ["rawdata/sub-01/anat/sub-01_T2w.nii.gz"])
    make_tree(tmp_path / "elsewhere", ["anat/sub-02_T2w.nii.gz"])
    (root / "rawdata/sub-02").symlink_to(tmp_path / "elsewhere")
    (root / "rawdata/sub-01/anat/again").symlink_to(root)
    (root / "rawdata/sub-01/anat/sub-01_run-2_T2w.nii.gz").symlink_to("gone/MD5E-s1.nii.gz")
    rows = bids_rows(root, tmp_path / "out")
    assert rows["input_status"].to_dict() == {
        "rawdata/sub-01/anat/sub-01_T2w.nii.gz": "ok",
        "rawdata/sub-01/anat/sub-01_run-2_T2w.nii.gz": "missing_file",
        "rawdata/sub-02/anat/sub-02_T2w.nii.gz": "ok",
    }
    assert "DataLad" in rows["reason"].dropna().item()


def test_subjects_do_not_vanish(tmp_path):
    """Links that lead nowhere or in circles, and folders that were never fetched, have a row."""
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz"])
    (root / "sub-02").symlink_to("../gone")
    (root / "sub-03").symlink_to("sub-03")
    (root / "sub-04").symlink_to("sub-05")
    (root / "sub-05").symlink_to("sub-04")
    (root / "sub-06").symlink_to(root)
    (root / "sub-07").mkdir()
    (root / "sub-01/ses-2").symlink_to("gone")
    (root / "sub-08/ses-1/anat").mkdir(parents=True)
    (root / "sub-01/anat/sub-01_run-2_T2w.nii.gz").symlink_to("sub-01_run-2_T2w.nii.gz")
    for name in ("README", "participants.tsv", "sub-01/anat/sub-01_T2w.json", "loop", "phenotype"):
        (root / name).symlink_to(Path(name).name)
    rows = bids_rows(root, tmp_path / "out")
    lost = ["sub-01/anat/sub-01_run-2_T2w.nii.gz", "sub-01/ses-2", "sub-08/ses-1/anat"]
    lost += [f"sub-0{number}" for number in range(2, 8)]
    expected = {"sub-01/anat/sub-01_T2w.nii.gz": "ok"} | dict.fromkeys(lost, "missing_file")
    assert rows["input_status"].to_dict() == expected
    assert "leads nowhere" in rows.loc["sub-02", "reason"]
    assert rows.loc["sub-02", "participant_id"] == "sub-02"
    assert rows.loc["sub-01/ses-2", "scan_id"] == "sub-01_ses-2"
    assert rows.loc["sub-08/ses-1/anat", "session_id"] == "ses-1"


@pytest.mark.parametrize(
    ("files", "lost"),
    [
        (["sub-02/anat/IM0001.dcm", "sub-02/anat/IM0002.dcm"], "sub-02/anat"),
        (["sub-02/IM0001"], "sub-02"),
        (["sub-02/ses-1/dicom/IM0001"], "sub-02/ses-1"),
        (["sub-02/anat/sub-02_T2w.json"], "sub-02/anat"),
        (["sub-02/ses-1/anat/IM1", "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii"], "sub-02/ses-1/anat"),
        (["sub-02/anat/dicom.zip", "sub-02/dwi/sub-02_dwi.nii"], "sub-02/anat"),
        (["sub-02/anat/._sub-02_T2w.nii.gz"], "sub-02/anat"),
        (["rawdata/sub-02/anat/IM1"], "rawdata/sub-02/anat"),
    ],
)
def test_subjects_with_other_files_do_not_vanish(tmp_path, files, lost):
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz", *files])
    rows = bids_rows(root, tmp_path / "out")
    found = rows[rows["input_status"] == "missing_file"]
    assert list(found.index) == [lost]
    assert "DICOM" in found.loc[lost, "reason"]
    assert found.loc[lost, "participant_id"] == "sub-02"


def test_a_dataset_of_dicom_alone_has_rows(tmp_path):
    root = make_tree(tmp_path / "b", ["sub-01/anat/a.dcm", "sub-02/ses-1/anat/a.dcm"])
    rows = bids_rows(root, tmp_path / "out")
    assert list(rows.index) == ["sub-01/anat", "sub-02/ses-1/anat"]


@pytest.mark.parametrize("ending", ["nii.gz.gz", "nii.bz2", "NII.GZ.GZ", "nii.zip"])
def test_images_packed_otherwise_have_a_row(tmp_path, ending):
    name = f"sub-02/anat/sub-02_T2w.{ending}"
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz", name])
    rows = bids_rows(root, tmp_path / "out")
    assert rows["input_status"].to_dict() == {
        "sub-01/anat/sub-01_T2w.nii.gz": "ok",
        name: "not_nifti",
    }


def test_empty_folders_of_other_data_are_no_rows(tmp_path):
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz"])
    for name in ("sub-01/dwi", "stimuli", "derivatives/sub-01", "code/sub-02"):
        (root / name).mkdir(parents=True)
    assert len(bids_rows(root, tmp_path / "out")) == 1


def test_pipes_and_devices_are_no_scans(tmp_path):
    """Reading them would wait or go on for ever."""
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz"])
    os.mkfifo(root / "sub-01/anat/sub-01_run-2_T2w.nii.gz")
    (root / "sub-01/anat/sub-01_run-3_T2w.nii.gz").symlink_to("/dev/zero")
    (root / "sub-01/anat/sub-01_run-4_T2w.nii.gz").mkdir()
    rows = bids_rows(root, tmp_path / "out")
    assert list(rows["input_status"]) == ["ok", *["missing_file"] * 3]


@pytest.mark.parametrize("name", ["cohort.tsv", "cohort.csv", "cohort.parquet"])
def test_a_sheet_that_is_a_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(CohortError, match="not a regular file"):
        build_index(tmp_path / name, tmp_path / "out", 32)


def test_names_of_files_are_shown_and_nothing_else(tmp_path, capsys):
    """A name may hold what rich takes for markup, or a terminal for a command."""
    names = ["a[/b]", "[red]b", "c\x1b[31m", "d\\"]
    sheet = "participant_id\tscan_id\tpath\n" + "".join(f"s\t{name}\tx.nii\n" for name in names)
    (tmp_path / "cohort.tsv").write_text(sheet)
    build_index(tmp_path / "cohort.tsv", tmp_path / "results" / "index", 32)
    print_status(cohort_status(Layout(tmp_path / "results"), Config()), failures=True)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    first_words = {line.split()[0] for line in shown.splitlines()}
    assert {name.replace("\x1b", "\\x1b") for name in names} <= first_words


def test_results_inside_the_dataset_are_not_found(tmp_path):
    root = make_tree(tmp_path / "b", ["sub-01/anat/sub-01_T2w.nii.gz"])
    for out in (root / "results/index", root / "index"):
        make_tree(out.parent, ["results/store/s/a.nii.gz"] if out.parent == root else ["a.nii.gz"])
    first = bids_rows(root, root / "results/index")
    assert list(first.index) == ["sub-01/anat/sub-01_T2w.nii.gz"]
    assert "sub-01/anat/sub-01_T2w.nii.gz" in bids_rows(root, root / "index").index


def test_bids_folder_without_images(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="no image"):
        build_index(tmp_path / "empty", tmp_path / "out", 32)


def mask_rows(folder: Path) -> pd.DataFrame:
    """Index of scans with both masks, none, one, a missing one, and one with a damaged path."""
    rows = scan_rows(5)
    for name in ("spine.nii.gz", "vert.nii.gz"):
        (folder / name).touch()
    masks = [
        ("spine.nii.gz", "vert.nii.gz"),
        ("", "n/a"),
        ("spine.nii.gz", ""),
        ("spine.nii.gz", "gone.nii.gz"),
        ("spine.nii.gz", "a\x07.nii.gz"),
    ]
    for row, (semantic, instance) in zip(rows, masks, strict=True):
        row |= {"semantic": semantic, "instance": instance}
    build_index(make_sheet(folder, rows), folder / "index", 2)
    return pd.read_parquet(folder / "index" / "scans.parquet")


def test_masks_of_a_sheet_reach_the_manifest(tmp_path):
    rows = mask_rows(tmp_path)
    with_masks, without = all_entries(tmp_path / "index")
    assert with_masks.has_masks
    assert with_masks.semantic == tmp_path / "spine.nii.gz"
    assert with_masks.instance == tmp_path / "vert.nii.gz"
    assert (without.semantic, without.instance, without.has_masks) == (None, None, False)
    status = rows.set_index("scan_id").input_status
    assert status.tolist() == ["ok", "ok", "bad_row", "missing_file", "bad_row"]
    assert rows.reason[2] == "The row names one mask; give semantic and instance."
    assert rows.reason[3] == "The instance mask: The file does not exist."
