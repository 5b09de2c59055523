"""The batch runner on a small real stage: files in, files out."""

import errno
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from columna.batch import run_batch
from columna.batch.attempts import deaths
from columna.batch.isolate import ends_job, is_about_a_file
from columna.config import Config
from columna.errors import ColumnaError, ScanRefused, UnfinishedError
from columna.files import write_text
from columna.results.input_digest import source_sha256
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry
from columna.results.stage_table import read_stage_table, write_stage_table
from columna.results.store import Store
from columna.stages.base import Saved, Stage


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
    ("error", "job", "file"),
    [
        (MemoryError(), True, False),
        (OSError(errno.ENOSPC, "full"), True, True),
        (RuntimeError("CUDA error: device-side assert"), True, False),
        (OSError(errno.EIO, "io"), False, True),
        (OSError(errno.ESTALE, "stale"), False, True),
        (PermissionError(errno.EACCES, "no"), False, True),
        (FileNotFoundError("nibabel gives no number"), False, True),
        (OSError("a library's word for wrong content"), False, False),
        (ValueError("CUDA"), False, False),
    ],
)
def test_machine_failures_are_told_from_defects(error, job, file):
    assert (ends_job(error), is_about_a_file(error)) == (job, file)


@pytest.mark.parametrize("kind", [Doubling, Pipelined])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_is_not_there_now_is_no_verdict(kind, workers, cohort, layout, tmp_path):
    """As on a node without the data folder: the others are computed, the job fails."""
    contents = {"a": "1", "b": "2", "c": "3", "d": "4"}
    scans = cohort(contents)
    (tmp_path / "b.txt").unlink()
    with pytest.raises(
        UnfinishedError, match=r"(?s)1 of 4 scans.*b\.txt cannot be read now"
    ) as error:
        run_batch(kind(Config(), layout), "b00001", scans, workers)
    assert "columna index" in str(error.value)
    assert journal(layout) == ["a", "c", "d"]
    assert Store(layout).read("b", "prepare") is None
    records = run_batch(kind(Config(), layout), "b00001", cohort(contents), workers)
    assert {r.status for r in records} == {"done"}
    assert journal(layout) == ["a", "b", "c", "d"]


def test_a_whole_folder_that_is_not_mounted_fails_the_job(cohort, layout, tmp_path):
    scans = cohort({"a": "1", "b": "2"})
    for scan in scans:
        scan.path.unlink()
    with pytest.raises(UnfinishedError, match="2 of 2 scans"):
        run_batch(Doubling(Config(), layout), "b00001", scans, 1)


class Vanishing(Doubling):
    """A file goes between planning and reading."""

    def load(self, scan):
        scan.path.unlink()
        return super().load(scan)


def test_a_file_that_vanishes_while_a_job_runs_is_no_verdict(cohort, layout):
    with pytest.raises(UnfinishedError, match="FileNotFoundError"):
        run_batch(Vanishing(Config(), layout), "b00001", cohort({"a": "1"}), 1)
    [record] = run_batch(Doubling(Config(), layout), "b00001", cohort({"a": "1"}), 1)
    assert record.status == "done"
    assert not list(layout.root.rglob("*.begun"))


def start(kind, layout, scans, workers=1):
    """Run a batch in a process of its own, which may be killed."""
    context = multiprocessing.get_context("spawn")
    job = context.Process(target=_run, args=(kind, layout.root, scans, workers))
    job.start()
    return job


def _run(kind, root, scans, workers):
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    run_batch(kind(Config(), Layout(root)), "b00001", scans, workers)


def exit_code(job):
    job.join()
    return job.exitcode


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def statuses(kind, layout, scans):
    stage = kind(Config(), layout)
    records = {scan.scan_id: stage.store.read(scan.scan_id, "prepare") for scan in scans}
    return {name: record and record.status for name, record in records.items()}


class DeadlyPipelined(Deadly):
    uses_network = True


class DeadlyToRead(Doubling):
    """Reading one scan kills the process, while another one is being computed."""

    uses_network = True

    def load(self, scan):
        text = super().load(scan)
        if text == "dead":
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return text

    def compute(self, item):
        time.sleep(0.1)
        return super().compute(item)


@pytest.mark.parametrize(
    ("kind", "workers"), [(Deadly, 1), (Deadly, 2), (DeadlyPipelined, 1), (DeadlyToRead, 1)]
)
def test_a_scan_that_kills_its_process_ends_as_a_row(kind, workers, cohort, layout):
    """Each try of a job is one chance for the scan; the others are not lost to it."""
    scans = cohort({"a": "1", "b": "dead", "c": "3", "d": "4"})
    tries = 1
    while exit_code(start(kind, layout, scans, workers)) != 0:
        assert statuses(kind, layout, scans)["b"] is None
        tries += 1
    # a death while a scan is read beside another one is charged to neither
    assert tries == (4 if kind is DeadlyToRead else 3)
    found = statuses(kind, layout, scans)
    assert found == {"a": "done", "b": "failed", "c": "done", "d": "done"}
    record = Store(layout).read("b", "prepare")
    assert (record.code, "died 3 times" in record.reason) == ("crashed", True)
    # what was just being written when the process died is redone
    assert set(journal(layout)) == {"a", "c", "d"}
    # when the job runs again, the scan gets one more chance, and costs no try
    assert exit_code(start(kind, layout, scans, workers)) == 0
    assert Store(layout).read("b", "prepare").computations_n == 2
    assert not list(layout.root.rglob("*.begun"))


class Slow(Doubling):
    """One scan takes long, and says when it has begun."""

    def compute(self, item):
        if item == "slow":
            (self.layout.root / "begun").touch()
            wait_for(self.layout.root / "go on")
            item = "7"
        return super().compute(item)


class SlowPipelined(Slow):
    uses_network = True


@pytest.mark.parametrize(("kind", "workers"), [(Slow, 1), (Slow, 2), (SlowPipelined, 1)])
def test_kills_from_outside_do_not_declare_a_sound_scan_dead(kind, workers, cohort, layout):
    scans = cohort({"a": "1", "b": "slow", "c": "3", "d": "4", "e": "5"})
    begun = layout.root / "begun"
    for _ in range(2):
        job = start(kind, layout, scans, workers)
        wait_for(begun)
        os.killpg(job.pid, signal.SIGKILL)
        assert exit_code(job) != 0
        begun.unlink()
    stage = kind(Config(), layout)
    assert deaths(stage, "b") == 2
    if workers == 1:
        assert not any(deaths(stage, other) for other in "acde")
    (layout.root / "go on").touch()
    records = run_batch(kind(Config(), layout), "b00001", scans, workers)
    assert {r.status for r in records} == {"done"}
    assert not list(layout.root.rglob("*.begun"))


@pytest.mark.parametrize(("kind", "workers"), [(Slow, 1), (Slow, 2), (SlowPipelined, 1)])
def test_an_end_that_was_asked_for_is_no_death(kind, workers, cohort, layout):
    scans = cohort({"a": "slow", "b": "2", "c": "3"})
    job = start(kind, layout, scans, workers)
    wait_for(layout.root / "begun")
    os.killpg(job.pid, signal.SIGTERM)
    (layout.root / "go on").touch()
    assert exit_code(job) != 0
    assert not any(deaths(kind(Config(), layout), scan.scan_id) for scan in scans)


class Beside(Doubling):
    """One scan kills its process as soon as another one is being computed."""

    def compute(self, item):
        if item == "dead":
            wait_for(self.layout.root / "beside")
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "beside":
            (self.layout.root / "beside").touch()
            time.sleep(30)
        return super().compute(item)


def test_only_the_process_that_died_is_suspected(cohort, layout):
    scans = cohort({"a": "dead", "b": "beside"})
    assert exit_code(start(Beside, layout, scans, 2)) != 0
    assert [deaths(Beside(Config(), layout), name) for name in "ab"] == [1, None]


class Hungry(Doubling):
    """Memory runs out on one scan, as often as the file `tries` says."""

    def compute(self, item):
        tries = self.layout.root / "tries"
        if item == "large":
            left = int(tries.read_text())
            tries.write_text(str(left - 1))
            if left > 0:
                raise MemoryError
            item = "9"
        return super().compute(item)


@pytest.mark.parametrize(("needed", "status"), [(2, "done"), (3, "failed")])
def test_a_scan_that_wants_more_memory_gets_every_try(needed, status, cohort, layout):
    scans = cohort({"a": "1", "b": "large", "c": "3"})
    (layout.root / "tries").write_text(str(needed))
    for error in (MemoryError, UnfinishedError):
        with pytest.raises(error):
            run_batch(Hungry(Config(), layout), "b00001", scans, 1)
    records = run_batch(Hungry(Config(), layout), "b00001", scans, 1)
    assert [r.status for r in records] == ["done", status, "done"]
