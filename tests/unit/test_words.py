"""Whatever is damaged, absent or impossible: one sentence that names it, never a traceback."""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_run import SmallRun, write_scan

from columna.cli.main import run
from columna.config import Config
from columna.errors import CohortError
from columna.job_errors import NoNoise, Sentences, last_words
from columna.results.layout import Layout
from columna.results.manifest import list_batches
from columna.sentences import sentence_of
from columna.upkeep.closing import closing_line
from columna.upkeep.receipts import read_collected, read_receipt
from columna.upkeep.run_summary import LINES, summary

SHEET = "participant_id\tscan_id\tpath\tsemantic\tinstance\n"
SCAN = "sub-01_T2w"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A scan with masks and an empty file, computed."""
    folder = tmp_path_factory.mktemp("made")
    write_scan(folder, "sub-01", seed=0)
    (folder / "data/sub-02_T2w.nii.gz").touch()
    masks = "\t".join(f"data/sub-01_seg-{kind}_dseg.nii.gz" for kind in ("spine", "vert"))
    names = ("sub-01", "sub-02")
    rows = [f"{name}\t{name}_T2w\tdata/{name}_T2w.nii.gz\t{masks}\n" for name in names]
    (folder / "cohort.tsv").write_text(SHEET + "".join(rows))
    (folder / "config").mkdir()
    models = {"semantic": "none", "instance": "none"}
    text = yaml.safe_dump({"cohort": "cohort.tsv", "batch_size": 2, "models": models})
    (folder / "config/config.yaml").write_text(text)
    small = SmallRun(folder, Config(models=models))
    small.index()
    small.run()
    return small


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy of its folder, as the working folder."""
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def columna(monkeypatch, capsys):
    """The command line in this process: exit status, output, and what it said of errors."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["columna", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        assert "Traceback" not in err + out
        return ended.value.code or 0, out, err

    return call


# --- damaged files of a run ---


def absent(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path):
    path.write_bytes(random.Random(path.name).randbytes(500))


def other(path):
    """Sound, but of another kind."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"scan_id": [1]}), path)
    else:
        path.write_text(json.dumps({"stages": {"assess": 1}, "scans": [], "own": []}))


def folder(path):
    path.unlink()
    path.mkdir()


FILES = (
    "index/scans.parquet",
    "index/ledger.tsv",
    "index/batches/b00001.tsv",
    "receipts/b00001.json",
    "receipts/collect.json",
    f"store/{SCAN}.zip",
    "stages/assess/b00001.tsv",
    "shards/vertebrae/b00001.parquet",
    "tables/scans.parquet",
    "tables/vertebrae.parquet",
    "config.yaml",
)
COMMANDS = (
    ("status", "--failures"),
    ("check",),
    ("check", "--content"),
    ("summary",),
    ("export", "--out", "exported", "--table", "scans", "--table", "vertebrae"),
    ("export", "--out", "exported", "--format", "stata", "--table", "vertebrae"),
    ("forget", SCAN),
)
JOBS = {
    "index": (("index",), ("collect",), ("assess", "b00001")),
    "receipts": (("collect",),),
    "shards": (("collect",),),
    "stages": (("assess", "b00001"),),
    "store": (("assess", "b00001"),),
    "config.yaml": (("index",),),
}
"""Commands that write, by the folder of the files that they read."""
MUST_TELL = {
    ("summary", "tables/scans.parquet"),
    ("summary", "tables/vertebrae.parquet"),
    ("export", "tables/vertebrae.parquet"),
    ("status", "index/batches/b00001.tsv"),
    ("status", "index/ledger.tsv"),
    ("status", "index/scans.parquet"),
    ("collect", "index/scans.parquet"),
    ("collect", "shards/vertebrae/b00001.parquet"),
    ("assess", "index/batches/b00001.tsv"),
}
"""Command and file: the error names the file, or for one that is absent its place."""


@pytest.mark.parametrize("damage", [absent, empty, cut, noise, other, folder])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_one_sentence(file, damage, place, columna):
    path = place / ("config" if file == "config.yaml" else "results") / file
    times = path.stat()
    for command in (*COMMANDS, *JOBS.get(file.split("/")[0], ())):
        whole = path.read_bytes()
        damage(path)
        code, _, err = columna(*command)
        told = [line for line in err.splitlines() if line.startswith("columna: ")]
        assert len(told) == (1 if code and "computes these again" not in err else 0), command
        if (command[0], file) in MUST_TELL and (damage, file) != (absent, "index/ledger.tsv"):
            assert code == 1
            assert path.name in err or str(path.parent.relative_to(place)) in err, (command, err)
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["scans", "kept", "stages", "own", "basis"]), inner),
    max_leaves=8,
)


@given(content=JSON)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_json_as_a_receipt_is_a_receipt_or_none(content, tmp_path):
    layout = Layout(tmp_path)
    layout.receipt("b00001").parent.mkdir(exist_ok=True)
    for name in ("b00001", "collect"):
        layout.receipt(name).write_text(json.dumps(content))
    read_receipt(layout, "b00001")
    read_collected(layout)


@given(content=st.binary(max_size=60))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_as_a_ledger_are_batches_or_one_sentence(content, tmp_path):
    (tmp_path / "ledger.tsv").write_bytes(content)
    try:
        assert all(name.startswith("b") for name in list_batches(tmp_path))
    except CohortError as error:
        assert "ledger.tsv" in str(error)  # noqa: PT017 - most content is an error


# --- places that cannot be ---


def test_commands_need_no_configuration(place, columna):
    (place / "config/config.yaml").unlink()
    for results in ([], ["--results", "results"], ["--results", place / "results"]):
        assert columna("summary", *results)[0] == 0
        assert columna("export", "--out", "out", "--table", "scans", *results)[0] == 0
        code, out, _ = columna("status", *results)
        assert code == 0
        assert "were not compared" in out
        assert columna("check", *results)[0] == 0
    code, _, err = columna("status", "--configfile", "other.yaml")
    assert (code, "other.yaml" in err) == (1, True)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("results", ["nowhere", "cohort.tsv", "data", "x" * 300])
def test_wrong_results_are_named(command, results, place, columna):
    code, _, err = columna(*command, "--results", results)
    assert code == 1
    assert results.rstrip("/") in err
    assert not (place / "nowhere").exists()


@pytest.mark.parametrize("out", ["cohort.tsv", "cohort.tsv/below", "/proc/columna", "x" * 300])
@pytest.mark.parametrize("command", ["export", "segment", "index", "phantom make"])
def test_places_that_cannot_be_written_are_named(command, out, place, columna):
    arguments = {
        "export": ["export", "--out", out, "--table", "scans"],
        "segment": ["segment", f"data/{SCAN}.nii.gz", "--out", out],
        "index": ["index", "--results", out],
        "phantom make": ["phantom", "make", "--out", out, "--spacing", 8, 8, 8],
    }[command]
    code, _, err = columna(*arguments)
    assert code == 1
    assert err.splitlines()[-1].startswith("columna: ")
    assert Path(out).parts[0] in err
    assert (place / "cohort.tsv").is_file()


def test_the_tables_are_not_exported_onto_themselves(place, columna):
    before = (place / "results/tables/datapackage.json").read_bytes()
    code, _, err = columna("export", "--out", "results/tables")
    assert (code, "results/tables" in err) == (1, True)
    assert (place / "results/tables/datapackage.json").read_bytes() == before


@pytest.mark.parametrize("cohort", ["/nonexist", "nonexist.tsv", "data/none"])
def test_an_unknown_cohort_is_named_and_writes_nothing(cohort, place, columna):
    code, _, err = columna("index", "--cohort", cohort, "--results", "new")
    assert code == 1
    assert f"{cohort}: no such cohort" in err
    assert not (place / "new").exists()


def test_settings_that_are_no_json(place, columna):
    code, _, err = columna("assess", "b00001", "--settings", "{")
    assert (code, "--settings: not valid JSON" in err) == (1, True)


def test_a_defect_keeps_its_traceback():
    assert sentence_of(ValueError("x")) is None
    assert sentence_of(OSError("a parser's own")) is None


@pytest.mark.parametrize("command", [["status"], ["index"], ["export", "--out", "\xe9"]])
def test_an_ascii_locale(command, place):
    """Names of files and answers are UTF-8 all the same."""
    moved = place.rename(place.with_name("Stra\xdfe"))
    plain = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", "from columna.cli import run; run()", *command],
        cwd=moved,
        env=os.environ | plain,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


# --- what a run says at its end ---


def test_closing_line_of_a_finished_and_of_an_open_run(place, made):
    layout = Layout(place / "results")
    SmallRun(place, made.config).index()
    SmallRun(place, made.config).run()
    scans = pd.read_parquet(layout.tables / "scans.parquet")
    to_review = int(scans.qc_verdict.isin(["review", "fail"]).sum())
    told = closing_line(layout, made.config)
    assert told.startswith(f"done 1, refused 1, failed 0, to review {to_review} (more: ")
    assert f"columna summary --results {layout.root}" in told
    layout.stage_table("assess", "b00001").unlink()
    (place / f"data/{SCAN}.json").write_text("{}")
    told = closing_line(layout, made.config)
    assert told.startswith("done 0, refused 1, failed 0, open 1, to review not known")


def test_summary_of_many_long_names(tmp_path, made, monkeypatch):
    """At most 20 lines a table; failed, refused and doubtful scans first; names are never cut."""
    [done, refused] = pq.read_table(made.layout.tables / "scans.parquet").to_pylist()
    rows = []
    for number in range(60):
        kind = number % 3
        row = dict((done, refused, refused)[kind], scan_id=f"sub-{number:02d}_acq-{'x' * 100}_T2w")
        if kind == 2:
            row |= {"processing_status": "failed", "processing_code": "crashed"}
        rows.append(row)
    tables = tmp_path / "results/tables"
    shutil.copytree(made.layout.tables, tables)
    schema = pq.read_schema(tables / "scans.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tables / "scans.parquet")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    lines = list(summary(Layout(tmp_path / "results")))
    assert "60 inputs: 20 done, 20 refused, 20 failed" in lines[0]
    text = "\n".join(lines)
    for block in text.split("\n\n"):
        assert len(block.splitlines()) <= LINES
    shown = text.split("\nScans\n")[1].split("\n\n")[0].splitlines()[1:-1]
    assert all(line.split()[1] == "failed" for line in shown)
    assert shown[0].split()[0] == rows[2]["scan_id"]
    grouped = text.split("What to look at\n")[1].split("\n\n")[0]
    kinds = [line.split()[0] for line in grouped.splitlines()[1:]]
    assert kinds == sorted(kinds, key=["failed", "refused", "review"].index)


# --- failed jobs, as Snakemake shows them ---


class Event:
    def __init__(self, name):
        self.name = name


def record(event, message="", **fields):
    made = logging.LogRecord("snakemake", logging.ERROR, "", 0, message, (), None)
    made.__dict__.update(event=Event(event), **fields)
    return made


def test_a_failed_job_is_shown_in_its_own_words(tmp_path):
    log = tmp_path / "b00001.log"
    log.write_text("12:00 INFO begun\ncolumna: the disk is full\n  sub-01: no\n")
    fields = {"rule_name": "label", "output": ["results/stages/label/b00001.tsv"]}
    shown = Sentences(None).format(record("JOB_ERROR", log=[str(log)], rule_msg=None, **fields))
    assert shown == f"label b00001 failed: the disk is full\n  sub-01: no\n  log: {log}"
    log.write_text("12:00 INFO begun\n")
    ended = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'"
    shown = Sentences(None).format(record("JOB_ERROR", log=[str(log)], rule_msg=ended, **fields))
    assert "without a word" in shown
    assert ended in shown
    assert last_words(tmp_path / "none.log") is None


def test_frames_around_a_failed_job_are_left_out():
    frames = "RuleException:\nCalledProcessError in file x.smk, line 1:\ncolumna label"
    assert not NoNoise().filter(record("ERROR", frames))
    assert NoNoise().filter(record("ERROR", "WorkflowError:\nsomething else"))
    assert Sentences(None).format(record("ERROR", "told")) == "told"
