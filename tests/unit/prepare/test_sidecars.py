"""Sidecars as BIDS inherits them: the nearest file wins, and every one of them counts."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from columna.config import Config
from columna.errors import UnavailableError
from columna.prepare.modality import sidecar_facts
from columna.prepare.sidecars import (
    json_names,
    read_sidecar,
    sidecar_paths,
    sidecar_sha256,
    unusable_sidecars,
)
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.measure import MeasureStage
from columna.stages.prepare import PrepareStage
from columna.tables.shards import read_shard


def write(root, **files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


SCAN = "sub-01/anat/sub-01_acq-sag_run-1_T2w.nii.gz"


def test_the_nearest_file_wins(tmp_path):
    write(
        tmp_path,
        **{
            "T2w.json": {"a": "root", "b": "root", "c": "root", "d": "root"},
            "acq-sag_T2w.json": {"b": "acq"},
            "sub-01/sub-01_T2w.json": {"c": "subject"},
            "sub-01/anat/sub-01_acq-sag_run-1_T2w.json": {"d": "own"},
        },
    )
    expected = {"a": "root", "b": "acq", "c": "subject", "d": "own"}
    assert read_sidecar(tmp_path / SCAN) == expected
    assert read_sidecar(tmp_path / SCAN, cache(json_names)) == expected
    names = [p.relative_to(tmp_path).as_posix() for p in sidecar_paths(tmp_path / SCAN)]
    assert names == [
        "T2w.json",
        "acq-sag_T2w.json",
        "sub-01/sub-01_T2w.json",
        "sub-01/anat/sub-01_acq-sag_run-1_T2w.json",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "T1w.json",
        "acq-ax_T2w.json",
        "sub-02_T2w.json",
        "sub-01/anat/sub-01_acq-sag_run-2_T2w.json",
        "sub-01/anat/sub-01_rec-x_T2w.json",
        "sub-01/anat/notes_T2w.json",
        "sub-01/anat/._sub-01_acq-sag_run-1_T2w.json",
        "../T2w.json",
        "dataset_description.json",
    ],
)
def test_files_about_other_scans_do_not_count(tmp_path, name):
    root = tmp_path / "bids"
    write(root, **{name: {"Modality": "CT"}})
    assert read_sidecar(root / SCAN) == {}


def test_runs_share_a_sidecar_and_sessions_inherit(tmp_path):
    write(tmp_path, **{"sub-01/ses-1/anat/sub-01_ses-1_T2w.json": {"a": 1}, "T2w.json": {"b": 2}})
    write(tmp_path, **{"sub-01/ses-1/sub-01_ses-1_T2w.json": {"c": 3}})
    for run in (1, 2):
        scan = tmp_path / f"sub-01/ses-1/anat/sub-01_ses-1_run-{run}_T2w.nii.gz"
        assert read_sidecar(scan) == {"a": 1, "b": 2, "c": 3}


def test_relative_paths_inherit_too(tmp_path, monkeypatch):
    write(tmp_path, **{"T2w.json": {"a": 1}})
    monkeypatch.chdir(tmp_path)
    assert read_sidecar(Path(SCAN)) == {"a": 1}


def test_outside_bids_only_the_file_beside_the_scan_counts(tmp_path):
    write(tmp_path, **{"T2w.json": {"a": 1}, "x/sub-01_T2w.json": {"b": 2}})
    assert read_sidecar(tmp_path / "x/sub-01_acq-sag_T2w.nii.gz") == {}
    assert read_sidecar(tmp_path / "x/sub-01_T2w.nii.gz") == {"b": 2}


def test_a_change_of_any_of_them_changes_the_digests(tmp_path):
    write(tmp_path, **{"T2w.json": {"a": 1}, "sub-01/sub-01_T2w.json": {"b": 2}})
    before = sidecar_sha256(tmp_path / SCAN)
    write(tmp_path, **{"T2w.json": {"a": 2}})
    after = sidecar_sha256(tmp_path / SCAN)
    assert after[0] != before[0]
    assert after[1] == before[1]
    write(tmp_path, **{"sub-01/anat/sub-01_run-1_T2w.json": {"b": 2}})
    assert len(sidecar_sha256(tmp_path / SCAN)) == 3


@pytest.mark.parametrize("content", ["", "[1]", "{", '"text"', "[" * 100_000, "\udcff"])
def test_unusable_sidecars_are_ignored(tmp_path, content):
    (tmp_path / "sub-1_T2w.json").write_bytes(content.encode(errors="surrogateescape"))
    assert read_sidecar(tmp_path / "sub-1_T2w.nii.gz") == {}
    assert len(unusable_sidecars(tmp_path / "sub-1_T2w.nii.gz")) == 1


def test_pointers_in_place_of_sidecars_are_counted(tmp_path):
    write(tmp_path, **{"T2w.json": {"a": 1}})
    beside = (tmp_path / SCAN).parent / "sub-01_run-1_T2w.json"
    beside.parent.mkdir(parents=True)
    for text in ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "/annex/objects/x"):
        beside.write_text(text)
        assert unusable_sidecars(tmp_path / SCAN) == [beside]
        assert read_sidecar(tmp_path / SCAN) == {"a": 1}


def test_words_for_nothing_are_no_manufacturer():
    facts = sidecar_facts({"Manufacturer": " n/a", "ManufacturersModelName": "Unknown"})
    assert (facts["manufacturer"], facts["model_name"]) == (None, None)


def test_a_sidecar_that_cannot_be_read_now_is_no_missing_one(tmp_path):
    file = tmp_path / "sub-1_T2w.json"
    file.write_text("{}")
    file.chmod(0)
    user = os.geteuid()
    folders = [p for p in (tmp_path, *tmp_path.parents) if not p.stat().st_mode & 0o001]
    modes = [folder.stat().st_mode for folder in folders]
    for folder in folders:
        folder.chmod(0o755)
    try:
        if user == 0:  # root may read everything
            os.seteuid(65534)
        with pytest.raises(UnavailableError, match="Permission denied"):
            sidecar_sha256(tmp_path / "sub-1_T2w.nii.gz")
    finally:
        os.seteuid(user)
        for folder, mode in zip(folders, modes, strict=True):
            folder.chmod(mode)


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "sub-1_T2w.json")
    (tmp_path / "sub-2_T2w.json").mkdir()
    (tmp_path / "sub-3_T2w.json").symlink_to("sub-3_T2w.json")
    for number in (1, 2, 3):
        assert sidecar_sha256(tmp_path / f"sub-{number}_T2w.nii.gz") == []


def test_names_with_very_many_entities_cost_nothing(tmp_path):
    name = "_".join(f"x{n}-1" for n in range(40))
    scan = tmp_path / f"sub-1/anat/sub-1_{name}_T2w.nii.gz"
    assert sidecar_paths(scan) == []


# --- stages ---


def scan_entry(root):
    return ScanEntry("s1", "sub-01", None, root / SCAN, Path("m.nii"), Path("v.nii"))


def test_prepare_depends_on_all_sidecars(tmp_path):
    write(tmp_path, **{"T2w.json": {"a": 1}, "sub-01/sub-01_T2w.json": {"b": 2}})
    path = scan_entry(tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a scan")
    stage = PrepareStage(Config(), Layout(tmp_path / "results"))
    before = stage.dependencies(scan_entry(tmp_path))
    assert len(before["sidecars"]) == 2
    for name in ("T2w.json", "sub-01/sub-01_T2w.json", "sub-01/anat/acq-sag_T2w.json"):
        write(tmp_path, **{name: {"Manufacturer": "GE"}})
        after = stage.dependencies(scan_entry(tmp_path))
        assert stage.fingerprint(after, None) != stage.fingerprint(before, None)
        before = after


@pytest.mark.parametrize(("stage", "status"), [("prepare", "refused"), ("prepare", "failed")])
def test_a_scan_that_is_not_read_keeps_what_its_sidecars_say(tmp_path, stage, status):
    write(tmp_path, **{"T2w.json": {"Manufacturer": "GE", "EchoTime": 0.1}})
    scan = scan_entry(tmp_path)
    layout = Layout(tmp_path / "results")
    record = Record(stage, "s1", "f", status, "unreadable", "The file is damaged.")
    MeasureStage(Config(), layout).finish("b00001", [scan], [record])
    [row] = read_shard(layout.shard("scans", "b00001"), "scans").to_pylist()
    known = (row["modality"], row["acquisition"], row["run"], row["manufacturer"])
    assert known == ("T2w", "sag", 1, "GE")
    assert row["echo_time_s"] == 0.1
    assert row["dim_si_n"] is None
    assert row["input_status"] == ("unreadable" if status == "refused" else "not_checked")
