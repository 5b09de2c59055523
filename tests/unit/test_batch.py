"""The batch runner on a small real stage: files in, files out."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from columna.batch import run_batch
from columna.batch.isolate import is_machine_failure
from columna.batch.table import read_stage_table, write_stage_table
from columna.cohort.manifest import ScanEntry
from columna.config import Config
from columna.errors import ColumnaError, ScanRefused
from columna.files import write_text
from columna.layout import Layout
from columna.stages.base import Saved, Stage
from columna.stages.source import source_sha256
from columna.store import Store


class Doubling(Stage):
    """Reads a number, doubles it; each computation leaves a line in a journal."""

    name = "prepare"
    version = 1
    factor = 2

    def dependencies(self, scan):
        return {
            "input": source_sha256(scan.path, self.store, scan.scan_id, "input"),
            "f": self.factor,
        }

    def load(self, scan):
        return scan.path.read_text()

    def compute(self, item):
        if item == "refuse":
            raise ScanRefused("constant", "the image is constant: check the conversion")
        if item == "crash":
            raise ValueError("secret patient name")
        if item == "no number":
            return float("nan")
        if item == "disk":
            raise OSError(errno.ENOSPC, "no space left on device")
        return self.factor * int(item)

    def save(self, scan, result):
        path = self.file(scan, "number.txt")
        write_text(path, str(result))
        with open(self.layout.root / "journal.txt", "a") as journal:
            journal.write(f"{scan.scan_id}\n")
        return Saved([path], {"number": result})


class Pipelined(Doubling):
    uses_network = True


class Deadly(Doubling):
    """One scan kills the process that computes it, as a crash in native code does."""

    def compute(self, item):
        if item == "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(item)


class Downstream(Doubling):
    name = "semantic"

    def dependencies(self, scan):
        return {}

    def load(self, scan):
        return str(self.done(scan, "prepare").values["number"])


@pytest.fixture
def cohort(tmp_path):
    def write(contents):
        scans = []
        for name, text in contents.items():
            path = tmp_path / f"{name}.txt"
            path.write_text(text)
            scans.append(ScanEntry(name, name, None, path))
        return scans

    return write


@pytest.fixture
def layout(tmp_path):
    root = tmp_path / "results"
    root.mkdir()
    return Layout(root)


def journal(layout):
    path = layout.root / "journal.txt"
    return sorted(path.read_text().split()) if path.exists() else []


@pytest.mark.parametrize("kind", [Doubling, Pipelined])
@pytest.mark.parametrize("workers", [1, 2])
def test_bad_scans_are_rows_and_do_not_stop_the_others(kind, workers, cohort, layout):
    scans = cohort({"a": "1", "b": "refuse", "c": "crash", "d": "4", "e": "5", "f": "no number"})
    records = run_batch(kind(Config(), layout), "b00001", scans, workers)
    assert [(r.scan_id, r.status) for r in records] == [
        ("a", "done"),
        ("b", "refused"),
        ("c", "failed"),
        ("d", "done"),
        ("e", "done"),
        ("f", "failed"),  # NaN, which no record can hold
    ]
    assert records[1].code == "constant"
    assert "secret" not in (records[2].reason or "")
    assert journal(layout) == ["a", "d", "e", "f"]


def test_only_what_changed_is_computed_again(cohort, layout):
    contents = {"a": "1", "b": "2", "c": "refuse"}
    run_batch(Doubling(Config(), layout), "b00001", cohort(contents), 1)
    run_batch(Doubling(Config(), layout), "b00001", cohort(contents), 1)
    assert journal(layout) == ["a", "b"]
    records = run_batch(Doubling(Config(), layout), "b00001", cohort(contents | {"b": "7"}), 1)
    assert journal(layout) == ["a", "b", "b"]
    assert [r.computations_n for r in records] == [1, 2, 1]


def test_same_content_with_a_new_time_is_not_computed_again(cohort, layout):
    scans = cohort({"a": "1"})
    run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    os.utime(scans[0].path, ns=(1, 1))
    run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    assert journal(layout) == ["a"]


@pytest.mark.parametrize("damage", ["truncated", "missing", "record"])
def test_damaged_results_are_computed_again(damage, cohort, layout):
    scans = cohort({"a": "1"})
    run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    file = layout.work("a") / "number.txt"
    if damage == "truncated":
        file.write_text("")
    elif damage == "missing":
        file.unlink()
    else:
        layout.record("a").write_bytes(layout.record("a").read_bytes()[:-50])
    run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    assert journal(layout) == ["a", "a"]
    assert file.read_text() == "2"


def test_a_defect_is_tried_again_but_a_refusal_is_not(cohort, layout):
    scans = cohort({"a": "crash", "b": "refuse"})
    run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    again = run_batch(Doubling(Config(), layout), "b00001", scans, 1)
    assert [r.computations_n for r in again] == [2, 1]


@pytest.mark.parametrize("kind", [Doubling, Pipelined])
def test_a_full_disk_ends_the_job_and_keeps_what_is_done(kind, cohort, layout):
    scans = cohort({"a": "1", "b": "2", "c": "3", "d": "disk", "e": "5"})
    with pytest.raises(OSError, match="no space"):
        run_batch(kind(Config(), layout), "b00001", scans, 1)
    assert journal(layout)[:3] == ["a", "b", "c"]
    repaired = cohort({"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"})
    records = run_batch(kind(Config(), layout), "b00001", repaired, 1)
    assert all(r.status == "done" for r in records)
    assert journal(layout) == ["a", "b", "c", "d", "e"]


def test_downstream_hands_on_refusals_and_follows_upstream_changes(cohort, layout):
    contents = {"a": "1", "b": "refuse"}
    run_batch(Doubling(Config(), layout), "b00001", cohort(contents), 1)
    records = run_batch(Downstream(Config(), layout), "b00001", cohort(contents), 1)
    assert [(r.stage, r.status) for r in records] == [("semantic", "done"), ("prepare", "refused")]
    run_batch(Doubling(Config(), layout), "b00001", cohort(contents | {"a": "5"}), 1)
    [record, _] = run_batch(Downstream(Config(), layout), "b00001", cohort(contents), 1)
    assert record.values == {"number": 20}


def test_a_missing_upstream_result_names_the_command(cohort, layout):
    with pytest.raises(ColumnaError, match="columna prepare"):
        run_batch(Downstream(Config(), layout), "b00001", cohort({"a": "1"}), 1)


def test_stage_table_repeats_bit_by_bit(tmp_path, cohort, layout):
    scans = cohort({"a": "1", "b": "refuse"})
    tables = []
    for name in ("first.tsv", "second.tsv"):
        records = run_batch(Doubling(Config(), layout), "b00001", scans, 1)
        write_stage_table(tmp_path / name, records)
        tables.append((tmp_path / name).read_bytes())
    assert tables[0] == tables[1]
    assert [r["status"] for r in read_stage_table(tmp_path / "first.tsv")] == ["done", "refused"]


def test_nothing_temporary_is_left(cohort, layout):
    run_batch(Pipelined(Config(), layout), "b00001", cohort({"a": "1", "b": "crash"}), 1)
    assert not [p for p in Path(layout.root).rglob("*") if "tmp" in p.name]
    assert Store(layout).read("a", "prepare").status == "done"


@pytest.mark.parametrize(
    ("error", "machine"),
    [
        (MemoryError(), True),
        (OSError(errno.EIO, "io"), True),
        (FileNotFoundError(errno.ENOENT, "none"), False),
        (RuntimeError("CUDA error: device-side assert"), True),
        (ValueError("CUDA"), False),
    ],
)
def test_machine_failures_are_told_from_defects(error, machine):
    assert is_machine_failure(error) is machine


def _run_deadly(root, scans, workers):
    run_batch(Deadly(Config(), Layout(root)), "b00001", scans, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_scan_that_kills_its_process_ends_as_a_row(workers, cohort, layout):
    scans = cohort({"a": "1", "b": "dead", "c": "3", "d": "4"})
    deaths = 0
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        job = context.Process(target=_run_deadly, args=(layout.root, scans, workers))
        job.start()
        job.join()
        deaths += job.exitcode != 0
    assert deaths == 2
    records = {s.scan_id: Deadly(Config(), layout).store.read(s.scan_id, "prepare") for s in scans}
    assert {name: r.status for name, r in records.items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
        "d": "done",
    }
    assert records["b"].code == "crashed"
    # the death of one process ends the others, too: a scan that was just being written is redone
    in_flight = workers - 1
    assert sorted(set(journal(layout))) == ["a", "c", "d"]
    assert len(journal(layout)) <= 3 + deaths * in_flight
