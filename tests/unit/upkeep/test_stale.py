"""Whatever changes on the disk, the next run computes exactly what it concerns."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from small_run import SmallRun, computed_scans, small_cohort, write_scan
from tiny_models import write_instance

import columna.collect.collect
import columna.stages.measure
import columna.upkeep.receipts
from columna.chain import STAGES
from columna.cohort.index import build_index
from columna.config import Config, config_sha256
from columna.errors import BusyError, CohortError, TableError, UnavailableError, UnfinishedError
from columna.files import stamp
from columna.results.archive import read_members, write_members
from columna.results.derivatives import Derivatives
from columna.results.lock import hold_results
from columna.results.manifest import ScanEntry, read_manifest
from columna.results.scan_files import scan_state
from columna.results.store import Store
from columna.stages.by_name import make_stage
from columna.stages.label import LabelStage
from columna.stages.model_identity import known_model, model_identity
from columna.upkeep.check import check_run, failed_scans, forget
from columna.upkeep.receipts import check_uniform, read_receipt
from columna.upkeep.stale import BASIS, RESULT, SOURCE
from columna.upkeep.status import cohort_status

FIRST, SECOND = "sub-01_T2w", "sub-02_T2w"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The small cohort, computed."""
    run = small_cohort(tmp_path_factory.mktemp("finished"))
    run.index()
    run.run()
    return run


def copy_of(run: SmallRun, folder: Path) -> SmallRun:
    """A copy with its times, indexed anew since its scans lie elsewhere."""
    shutil.copytree(run.folder, folder)
    copy = SmallRun(folder, run.config)
    copy.index()
    assert copy.run() == ["collect"]  # nothing but the paths in the index is new
    return copy


@pytest.fixture
def run(finished, tmp_path):
    return copy_of(finished, tmp_path / "copy")


def fresh_tables(run: SmallRun) -> dict[str, bytes]:
    """Tables of the same cohort, computed in an empty folder."""
    shutil.rmtree(run.layout.root)
    run.index()
    run.run()
    return run.tables()


def derivatives(run: SmallRun, scan_id: str = FIRST) -> Derivatives:
    return Derivatives(run.layout.derivatives, scan_id)


def test_a_finished_run_has_nothing_to_do_wherever_it_lies(run, finished):
    assert run.look().are_tables_current
    assert run.run() == []
    assert run.tables() == finished.tables()


# --- kinds of files (any file, changed in any way: test_any_change.py) ---


def touch(path, _other):
    os.utime(path, ns=(1, 1))


def delete(path, _other):
    path.unlink()


def edit(path, _other):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def files_of(run: SmallRun) -> list[str]:
    """Every file that a run reads or writes."""
    unrelated = {".lock", ".run", "ledger.tsv"}  # the ledger says by itself when it is damaged
    found = [p for p in sorted(run.folder.rglob("*")) if p.is_file() and p.name not in unrelated]
    used = [p for p in found if p.name != "cohort.tsv" and not p.name.endswith("_truth.json")]
    return [str(p.relative_to(run.folder)) for p in used]


@pytest.mark.parametrize("change", [delete, edit])
@pytest.mark.parametrize("kind", ["image", "derivative", "record", "shard"])
def test_kinds_of_files(kind, change, run, finished):
    file = {
        "image": run.folder / "data/sub-01_T2w.nii.gz",
        "derivative": derivatives(run).instance,
        "record": Store(run.layout).kept(FIRST)[0],
        "shard": run.layout.shard("vertebrae", "b00001"),
    }[kind]
    before = run.computations()
    change(file, None)
    run.index()
    assert not run.look().are_tables_current
    run.run()
    is_left_out = change is delete and kind == "image"
    concerns = set() if kind == "shard" or is_left_out else {FIRST}
    assert computed_scans(before, run.computations()) == concerns
    assert (run.tables() == finished.tables()) == (kind != "image")
    assert run.run() == []


def test_touched_files_are_read_but_nothing_is_computed(run, finished):
    before = run.computations()
    for name in files_of(run):
        touch(run.folder / name, None)
    assert run.look().reasons() == {SOURCE: 3}
    assert len(run.run()) == 2 * len(STAGES) + 1
    assert computed_scans(before, run.computations()) == set()
    assert run.run() == []
    assert run.tables() == finished.tables()


def test_another_scan_behind_the_same_link(run):
    link = run.folder / "data/sub-01_T2w.nii.gz"
    first, second = run.folder / "first.nii.gz", run.folder / "second.nii.gz"
    shutil.move(link, first)
    shutil.copy(run.folder / "data/sub-02_T2w.nii.gz", second)
    os.truncate(second, first.stat().st_size)  # same size, same time: only the link differs
    os.utime(second, ns=(first.stat().st_atime_ns, first.stat().st_mtime_ns))
    link.symlink_to(first)
    run.index()
    run.run()
    before = run.computations()
    link.unlink()
    link.symlink_to(second)
    assert run.look().reasons() == {SOURCE: 1}
    run.run()
    assert computed_scans(before, run.computations()) == {FIRST}


def test_a_replaced_scan_is_stale_until_it_is_computed(run):
    write_scan(run.folder, "sub-01", seed=9)
    status = cohort_status(run.layout, run.config)
    assert status.stages["prepare"] == {"stale": 1, "done": 2}
    assert status.stages["assess"] == {"stale": 1, "done": 2}
    run.run()
    assert cohort_status(run.layout, run.config).stages["assess"] == {"done": 3}
    assert run.tables() == fresh_tables(run)


def test_a_repaired_scan_is_tried_again(finished, tmp_path):
    run = copy_of(finished, tmp_path / "copy")
    image = run.folder / "data/sub-01_T2w.nii.gz"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    run.run()
    assert cohort_status(run.layout, run.config).stages["prepare"] == {"refused": 1, "done": 2}
    image.write_bytes(whole)
    run.run()
    assert run.tables() == finished.tables()


def test_a_file_that_is_missing_for_a_moment_costs_nothing(run):
    image = run.folder / "data/sub-01_T2w.nii.gz"
    before = run.computations()
    shutil.move(image, run.folder / "away")
    assert run.look().are_tables_current  # it may be only this machine that does not see it
    shutil.move(run.folder / "away", image)
    assert run.run() == []
    shutil.move(image, run.folder / "away")
    run.index()
    run.run()
    shutil.move(run.folder / "away", image)
    run.index()
    run.run()
    assert computed_scans(before, run.computations()) == set()


def test_new_and_leaving_scans_reach_the_tables(run, finished):
    sheet = run.folder / "cohort.tsv"
    text = sheet.read_text()
    sheet.write_text("".join(text.splitlines(keepends=True)[:-1]))
    run.index()
    run.run()
    assert run.tables() != finished.tables()
    sheet.write_text(text)
    run.index()
    assert cohort_status(run.layout, run.config).stages["prepare"]["done"] == 2
    run.run()
    assert run.tables() == finished.tables()


# --- settings, models, versions ---


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"label": {"given_levels": "rename"}}, STAGES[3:]),
        ({"prepare": {"max_obliquity_deg": 40.0}}, STAGES),
    ],
)
def test_settings_make_stale_what_they_concern(change, stages, run):
    run.config = Config(**run.config.model_dump(exclude=set(change)) | change)
    status = cohort_status(run.layout, run.config)
    own = [stage for stage in STAGES if stage not in ("semantic", "instance")]
    assert {s for s in own if status.stages[s]["stale"] == 3} == set(stages) - {
        "semantic",
        "instance",
    }
    run.run()
    assert run.run() == []
    assert run.tables() == fresh_tables(run)


def test_a_changed_setting_changed_back(run, finished):
    first = run.config
    run.config = Config(**first.model_dump() | {"measure": {"fov_margin_mm": 5.0}})
    for stage in STAGES[4:]:  # a run that ended after the first batch
        make = make_stage(stage, run.config, run.layout)
        columna.batch.job.run_job(make, "b00001", 1)
    run.config = first
    run.run()
    assert run.tables() == finished.tables()


def test_another_stage_version_is_computed(run, monkeypatch):
    before = run.computations()
    monkeypatch.setattr(LabelStage, "version", 99)
    assert run.look().reasons() == {BASIS: 3}
    assert run.run()[0] == "label b00001"
    assert computed_scans(before, run.computations()) == {f"sub-0{n}_T2w" for n in (1, 2, 3)}


def test_another_package_version_reaches_all_rows(run, monkeypatch):
    for module in (columna.upkeep.receipts, columna.stages.measure, columna.collect.collect):
        monkeypatch.setattr(module, "__version__", "99.0")
    assert run.run()[0] == "measure b00001"
    assert run.tables() == fresh_tables(run)


def test_exchanged_weights_are_seen_at_a_glance_and_told_by_content(tmp_path):
    model, memo = write_instance(tmp_path / "model"), tmp_path / "memo.json"
    first = known_model(str(model), memo)
    assert known_model(str(model), memo) == first
    weights = model / "vert_weights.ckpt"
    os.utime(weights, ns=(1, 1))
    assert known_model(str(model), memo) == first
    content, time = bytearray(weights.read_bytes()), weights.stat()
    content[-1] ^= 1
    weights.write_bytes(content)
    assert known_model(str(model), memo) != first
    weights.write_bytes(bytes(reversed(content)))
    os.utime(weights, ns=(time.st_atime_ns, time.st_mtime_ns))
    memo.write_text("{")
    changed = known_model(str(model), memo)
    folder = columna.stages.model_identity.ModelFolder.read(model)
    assert changed == model_identity(folder, memo)
    assert known_model(str(tmp_path / "none"), memo) is None


def test_a_mixture_is_not_collected(run, monkeypatch):
    monkeypatch.setattr(LabelStage, "version", 99)
    for stage in STAGES[3:]:
        columna.batch.job.run_job(make_stage(stage, run.config, run.layout), "b00001", 1)
    receipts = {batch: read_receipt(run.layout, batch) for batch in ("b00001", "b00002")}
    with pytest.raises(TableError, match="stage 'label'"):
        check_uniform(receipts)
    assert run.run()[0] == "label b00002"  # and the next run mends it


def test_an_edited_shard_is_not_collected(run):
    edit(run.layout.shard("discs", "b00001"), None)
    with pytest.raises(TableError, match="changed since its job"):
        columna.collect.collect.collect_tables(run.layout, config_sha256(run.config))


# --- contents, on request ---


def unseen(path: Path) -> None:
    """Change a byte, and leave size and time as they were."""
    time = path.stat()
    edit(path, None)
    os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))


@pytest.mark.parametrize("kind", ["mask", "sidecar", "derivative", "table"])
def test_check_by_content_sees_what_times_do_not_tell(kind, run):
    file = {
        "mask": run.folder / "data/sub-01_seg-spine_dseg.nii.gz",
        "sidecar": run.folder / "data/sub-01_T2w.json",
        "derivative": derivatives(run).semantic,
        "table": run.layout.tables / "discs.parquet",
    }[kind]
    before = run.computations()
    assert list(check_run(run.layout, run.config, content=True)) == []
    unseen(file)
    assert list(check_run(run.layout, run.config, content=False)) == []
    found = list(check_run(run.layout, run.config, content=True))
    assert [name for name, _ in found] == ["collect" if kind == "table" else FIRST]
    run.run()
    concerned = set() if kind == "table" else {FIRST}
    assert computed_scans(before, run.computations()) == concerned
    assert list(check_run(run.layout, run.config, content=True)) == []
    assert run.tables() == fresh_tables(run)


def test_a_scan_that_cannot_be_read_now_is_not_forgotten(run):
    """As on a machine without the data folder."""
    image = run.folder / "data/sub-01_T2w.nii.gz"
    image.rename(run.folder / "away")
    with pytest.raises(UnavailableError, match="cannot be read now"):
        list(check_run(run.layout, run.config, content=True))
    (run.folder / "away").rename(image)
    assert list(check_run(run.layout, run.config, content=True)) == []
    assert run.run() == []


def test_an_edited_record_is_no_record(run):
    path = Store(run.layout).path(FIRST)
    record = read_members(path)["measure.json"]
    edited = record.replace(b'"computations_n":1', b'"computations_n":2')
    assert edited != record
    write_members(path, {"measure.json": edited})
    assert Store(run.layout).read(FIRST, "measure") is None
    assert run.look().reasons() == {RESULT: 1}


def test_forgotten_scans_are_computed_anew(run, finished):
    before = run.computations()
    forget(run.layout, [FIRST])
    assert failed_scans(run.layout) == []
    run.run()
    assert computed_scans(before, run.computations()) == {FIRST}
    assert run.tables() == finished.tables()
    with pytest.raises(CohortError, match="sub-99"):
        forget(run.layout, ["sub-99"])


# --- changes while a run goes on ---


@pytest.mark.parametrize("change", ["image", "derivative"])
def test_what_changes_between_two_stages_postpones_one_scan(change, run):
    forget(run.layout, [FIRST, SECOND])
    for stage in STAGES[:4]:
        columna.batch.job.run_job(make_stage(stage, run.config, run.layout), "b00001", 1)
    if change == "image":
        write_scan(run.folder, "sub-01", seed=9)
    else:
        edit(derivatives(run).instance, None)
    measure = make_stage("measure", run.config, run.layout)
    with pytest.raises(UnfinishedError, match=f"1 of 2 scans(?s:.*){FIRST}") as ended:
        columna.batch.job.run_job(measure, "b00001", 1)
    assert SECOND not in str(ended.value)
    assert Store(run.layout).read(SECOND, "measure").status == "done"
    run.run()
    assert run.tables() == fresh_tables(run)


def test_state_of_a_scan_that_is_not_there_is_unknown(tmp_path):
    scan = ScanEntry("a", "a", None, tmp_path / "a_T2w.nii.gz")
    assert scan_state(scan) is None
    scan.path.write_bytes(b"1")
    states = [scan_state(scan)]
    (tmp_path / "a_T2w.json").write_text("{}")
    states.append(scan_state(scan))
    assert None not in states
    assert states[0] != states[1]
    assert stamp(tmp_path / "none") is None


def test_manifests_are_absolute(run):
    [first, _] = read_manifest(run.layout.manifest("b00001"))
    assert first.path.is_absolute()
    assert first.semantic.is_absolute()
    receipt = json.loads(run.layout.receipt("b00001").read_text())
    assert not any(name.startswith("/") for name in receipt["stages"]["label"]["own"])


# --- one run at a time ---


def _try(root, answers):
    try:
        hold_results(root)
        answers.put("held")
    except BusyError as error:
        answers.put(str(error))


def test_a_results_folder_has_one_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with hold_results(tmp_path):
        second = context.Process(target=_try, args=(tmp_path, answers))
        second.start()
        told = answers.get(timeout=60)
        second.join()
    assert f"process {os.getpid()}" in told
    assert "\n" not in told
    third = context.Process(target=_try, args=(tmp_path, answers))
    third.start()
    assert answers.get(timeout=60) == "held"
    third.join()


def test_status_without_an_index_is_one_sentence(tmp_path):
    run = SmallRun(tmp_path, Config())
    with pytest.raises(CohortError, match="columna index"):
        cohort_status(run.layout, run.config)
    with pytest.raises(CohortError, match="no such cohort"):
        build_index(tmp_path / "none.tsv", run.layout.index, 1)
