"""Corrections flow back: what is computed again, what the tables say, and what is refused."""

import os
import shutil

import duckdb
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from small_run import SCANS, SmallRun, computed_scans, small_cohort

from columna.chain import STAGES
from columna.config import Config, PrepareSettings
from columna.errors import CohortError, ConfigError
from columna.results.derivatives import Derivatives
from columna.results.store import Store
from columna.review.corrections import Corrections, correction_notes
from columna.review.decisions import Decision, append_decision
from columna.train.recipe import DatasetSettings
from columna.train.samples.corrected_scans import corrected_scans
from columna.train.samples.dataset import convert, instance_path
from columna.upkeep.check import check_run
from columna.upkeep.closing import closing_line
from columna.upkeep.stale import CORRECTION

ONE, TWO = "sub-01_T2w", "sub-02_T2w"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three scans with masks of their own, computed before anything was decided."""
    run = small_cohort(tmp_path_factory.mktemp("finished"))
    folder = run.folder
    config = run.config.model_copy(
        update={
            "corrections": folder / "corrections.tsv",
            "corrected_masks": folder / "corrected",
        }
    )
    run = SmallRun(folder, config)
    run.index()
    run.run()
    return run


@pytest.fixture
def run(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    files = {"corrections": folder / "corrections.tsv", "corrected_masks": folder / "corrected"}
    copied = SmallRun(folder, finished.config.model_copy(update=files))
    assert copied.look().are_tables_current
    return copied


def decide(run, kind, scan=ONE, **known):
    decision = Decision.made(scan, kind, "anna", **known)
    append_decision(run.config.corrections, decision)
    return decision


def table(run, name, scan=None):
    rows = pd.read_parquet(run.layout.tables / f"{name}.parquet")
    return rows if scan is None else rows[rows.scan_id == scan]


def found(run, scan=ONE):
    """Levels of the vertebrae found, from the top."""
    rows = table(run, "vertebrae", scan)
    return rows[rows.index_from_top.notna()].sort_values("index_from_top")


def scan_row(run, scan=ONE):
    return table(run, "scans").set_index("scan_id").loc[scan]


def others(run, scan=ONE):
    """All rows of the other scans, as text."""
    names = ("scans", "vertebrae", "discs", "spine", "structures", "endplates", "cord_canal")
    rows = {name: table(run, name) for name in names}
    return {name: r[r.scan_id != scan].to_csv(index=False) for name, r in rows.items()}


def delivered(run, scan=ONE):
    return Derivatives(run.layout.derivatives, scan)


def edit(run, mask, change, scan=ONE, ending=".nii.gz", **header):
    """Write an edited copy of a delivered mask as another program would."""
    source = getattr(delivered(run, scan), mask)
    image = nib.load(source)
    array = change(np.asanyarray(image.dataobj).copy())
    new = nib.Nifti1Image(array, image.affine)
    new.set_sform(image.affine, header.get("sform", 1))
    new.set_qform(image.affine, header.get("qform", 1))
    run.config.corrected_masks.mkdir(exist_ok=True)
    target = run.config.corrected_masks / source.name.replace(".nii.gz", ending)
    nib.save(new, target)
    return target


def test_a_shift_reaches_its_scan_and_no_other(run):
    before, rest, levels = run.computations(), others(run), list(found(run).level)
    decide(run, "shift", value="-1")
    assert run.look().reasons() == {CORRECTION: 1}
    jobs = run.run()
    # sub-01 and sub-02 (in order of names) share batch b00001
    assert {job.split()[0] for job in jobs} == {"label", "measure", "assess", "picture", "collect"}
    assert len({job.split()[1] for job in jobs if " " in job}) == 1, "one batch is touched"
    after = run.computations()
    assert computed_scans(before, after) == {ONE}
    again = {s for (scan, s), n in after.items() if before[scan, s] != n}
    assert again == set(STAGES[STAGES.index("label") :])
    rows = found(run)
    assert list(rows.level)[1:] == levels[:-1]
    assert set(rows.level_anchor) == {"reviewed"}
    assert set(rows.level_p_ratio) == {1.0}
    assert others(run) == rest
    assert scan_row(run).mask_source == "given"
    assert run.run() == []


def test_undo_gives_the_first_result_back(run):
    before = run.tables()
    decision = decide(run, "shift", value="-1")
    run.run()
    decide(run, "undo", value=decision.decision_id)
    run.run()
    after = run.tables()
    assert {n for n in before if before[n] != after[n]} == {"ratings.parquet"}
    ratings = table(run, "ratings")
    assert list(ratings.state) == ["undone"]
    assert list(ratings.undone_by) == ["anna"]


def test_ratings_reach_the_tables_without_computing_anything(run):
    before = run.computations()
    decide(run, "rate", domain="names", value="bad", reason="shifted", comment="<script>x</script>")
    decide(run, "rate", domain="names", value="good")
    decide(run, "exclude", scan=TWO, reason="motion")
    decide(run, "exclude", scan="nobody")
    assert run.run() == ["collect"]
    assert computed_scans(before, run.computations()) == set()
    rows = table(run, "ratings")
    assert sorted(rows.scan_id) == [ONE, ONE, TWO]
    assert sorted(rows.state) == ["in_force", "in_force", "replaced"]
    assert b"script" not in (run.layout.tables / "ratings.parquet").read_bytes()
    notes = correction_notes(run.config, [f"{name}_T2w" for name in SCANS])
    assert [note for note in notes if "'nobody'" in note and "no effect" in note]
    assert run.run() == []
    database = duckdb.connect()
    database.execute("SET file_search_path = ?", [str(run.layout.tables)])
    database.execute((run.layout.tables / "views.sql").read_text())
    for view in ("v_measured_bodies", "v_lumbar", "v_subject_wide"):
        seen = {row[0] for row in database.execute(f"SELECT scan_id FROM {view}").fetchall()}
        assert TWO not in seen, view
        assert ONE in seen, view
    assert TWO in set(table(run, "vertebrae").scan_id)
    decide(run, "include", scan=TWO)
    run.run()
    assert database.execute("SELECT count(*) FROM v_excluded").fetchall() == [(0,)]


def test_a_false_vertebra_is_a_fragment(run):
    before = list(found(run).level)
    decide(run, "false", vertebra="1")
    run.run()
    assert list(found(run).level) == before[1:]
    rows = table(run, "vertebrae", ONE)
    piece = rows[rows.presence == "fragment"]
    assert list(piece.vertebra) == ["fragment_01"]
    assert list(piece.review_position) == [1]
    assert list(found(run).review_position) == list(range(2, len(before) + 1))


def test_a_vertebra_is_named(run):
    before = list(found(run).level)
    decide(run, "name", vertebra="1", value="T13")
    run.run()
    rows = found(run)
    assert list(rows.level) == ["T13", *before[1:]]
    assert list(rows.level_anchor) == ["reviewed", *["given"] * (len(before) - 1)]


@pytest.mark.parametrize(
    ("kind", "known", "said"),
    [
        ("name", {"vertebra": "12", "value": "L5"}, "vertebra 12 from the top is decided to be L5"),
        ("shift", {"value": "9"}, "would leave C1 to S1"),
        ("name", {"vertebra": "1", "value": "S1"}, "would be S1"),
    ],
)
def test_what_cannot_hold_refuses_the_scan(run, kind, known, said):
    decide(run, kind, **known)
    run.run()
    row = scan_row(run)
    assert (row.processing_status, row.processing_code) == ("refused", "bad_correction")
    assert said in row.processing_reason
    assert scan_row(run, TWO).processing_status == "done"


def test_one_body_removed(run):
    before, rest = run.computations(), others(run)
    rows = found(run)
    label, level = int(rows.spineps_label.iloc[1]), rows.level.iloc[1]
    original = nib.load(delivered(run).instance).get_fdata()
    tables = run.tables()
    path = edit(run, "instance", lambda a: np.where(a == label, 0, a))
    assert run.look().reasons() == {CORRECTION: 1}
    run.run()
    assert level not in set(found(run).level)
    assert len(found(run)) == len(rows) - 1
    assert scan_row(run).mask_source == "corrected"
    assert others(run) == rest
    assert computed_scans(before, run.computations()) == {ONE}
    kept = Store(run.layout).volume(ONE, "computed-instance").array
    assert np.array_equal(kept, original)
    assert run.run() == []
    path.unlink()
    run.run()
    assert run.tables() == tables
    assert np.array_equal(nib.load(delivered(run).instance).get_fdata(), original)


def test_a_mask_that_changed_in_content_alone_is_found(run):
    path = edit(run, "instance", lambda a: a, ending=".nii")
    run.run()
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list(check_run(run.layout, run.config, content=False)) == []
    assert [scan for scan, _ in check_run(run.layout, run.config, content=True)] == [ONE]


HEADERS = {
    "qform only": {"sform": 0, "qform": 1, "type": np.uint16},
    "sform only": {"sform": 2, "qform": 0, "type": np.uint8},
    "float": {"sform": 1, "qform": 1, "type": np.float32},
    "double, unpacked": {"sform": 1, "qform": 1, "type": np.float64, "ending": ".nii"},
    "signed, unpacked": {"sform": 0, "qform": 1, "type": np.int16, "ending": ".nii"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_other_programs_are_taken(run, name):
    known = dict(HEADERS[name])
    kind = known.pop("type")
    edit(run, "instance", lambda a: a.astype(kind), **known)
    before = others(run, "nobody")
    run.run()
    row = scan_row(run)
    assert (row.processing_status, row.mask_source) == ("done", "corrected")
    after = others(run, "nobody")
    assert {n for n in before if before[n] != after[n]} == {"scans"}  # the same mask


def test_any_order_of_axes_is_taken(run):
    image = nib.load(edit(run, "instance", lambda a: a, ending=".nii"))
    turned = nib.orientations.axcodes2ornt(("S", "L", "P"))
    ours = nib.io_orientation(image.affine)
    path = run.config.corrected_masks / delivered(run).instance.name
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(ours, turned)), path)
    path.with_suffix("").unlink()
    rows = table(run, "vertebrae").to_csv()
    run.run()
    assert scan_row(run).mask_source == "corrected"
    assert table(run, "vertebrae").to_csv() == rows


def paint(value):
    def change(array):
        array[2, 2, 2] = value
        return array

    return change


@pytest.mark.parametrize(
    ("mask", "value", "said"),
    [
        ("instance", 77, "neither levels nor in the delivered mask: 77 (1 voxels)"),
        ("instance", 5, "too small to be one: 5 (1 voxels); 5 begins at voxel (2, 2, 2)"),
        ("semantic", 99, "no SPINEPS labels: 99"),
    ],
)
def test_one_voxel_of_a_wrong_number_is_refused(run, mask, value, said):
    edit(run, mask, paint(value))
    run.run()
    row = scan_row(run)
    assert (row.processing_status, row.processing_code) == ("refused", "mask_labels")
    assert said in row.processing_reason
    assert row.mask_source == "corrected"
    assert scan_row(run, TWO).processing_status == "done"


def test_a_mask_of_another_grid_is_refused(run):
    edit(run, "instance", lambda a: np.pad(a, 9))
    run.run()
    row = scan_row(run)
    assert row.processing_code == "mask_grid"
    assert "corrected instance mask" in row.processing_reason


def test_what_is_no_mask_is_refused(run):
    run.config.corrected_masks.mkdir()
    (run.config.corrected_masks / delivered(run).semantic.name).write_text("painted")
    run.run()
    row = scan_row(run)
    assert row.processing_code == "bad_mask"
    assert row.processing_reason.startswith("The corrected semantic mask")


def test_two_files_of_one_mask_are_refused(run):
    edit(run, "instance", lambda a: a)
    edit(run, "instance", lambda a: a, ending=".nii")
    run.run()
    assert "more than once" in scan_row(run).processing_reason


def test_a_mask_and_decisions_go_together_in_any_order(run):
    """A number that is as delivered follows the decisions, whenever the mask was edited."""
    levels = list(found(run).level)
    label = int(found(run).spineps_label.iloc[-1])
    edit(run, "instance", lambda a: np.where(a == label, 0, a))  # before the shift
    decide(run, "shift", value="-1")
    run.run()
    wanted = list(found(run).level)
    assert wanted[1:] == levels[:-2]
    edit(run, "instance", lambda a: a)  # as delivered after the shift
    run.run()
    assert list(found(run).level) == wanted
    new = int(found(run).spineps_label.iloc[-1])

    edit(run, "instance", lambda a: np.where(a == new, 25, a))  # renamed by hand: L6
    run.run()
    rows = found(run)
    assert list(rows.level) == [*wanted[:-1], "L6"]
    assert rows.level_anchor.iloc[-1] == "reviewed"


def test_positions_are_those_of_the_computed_masks(run):
    rows = found(run)
    first = int(rows.spineps_label.iloc[0])
    edit(run, "instance", lambda a: np.where(a == first, 0, a))
    decide(run, "name", vertebra="2", value="T13")
    run.run()
    assert list(found(run).level) == ["T13", *rows.level[2:]]
    assert list(found(run).review_position) == list(range(2, len(rows) + 1))
    decide(run, "name", vertebra="1", value="T12")
    run.run()
    assert "is decided to be T12, and is not in the corrected" in scan_row(run).processing_reason


def test_two_vertebrae_of_one_level_are_refused(run):
    rows = found(run)
    upper, lower = (int(label) for label in rows.spineps_label.iloc[:2])
    decide(run, "shift", value="-1")  # the third one gets the number that the second one had
    edit(run, "instance", lambda a: np.where(a == lower, 0, np.where(a == upper, lower, a)))
    run.run()
    row = scan_row(run)
    assert row.processing_code == "bad_correction"
    assert f"would be {rows.level.iloc[1]}" in row.processing_reason


def test_only_structures_edited(run):
    rows = table(run, "structures", ONE).set_index("structure")
    edit(run, "semantic", lambda a: np.where(a == 100, 0, a))
    run.run()
    assert scan_row(run).mask_source == "corrected"
    assert table(run, "discs", ONE).volume_mm3.isna().all()
    assert len(rows)


def test_files_that_are_no_mask_of_a_scan_are_told(run):
    folder = run.config.corrected_masks
    folder.mkdir()
    name = delivered(run).instance.name
    for odd in (name.replace(".nii.gz", ".nrrd"), name.replace(".nii", " (1).nii"), "notes.txt"):
        (folder / odd).write_text("x")
    (note,) = [n for n in correction_notes(run.config, [ONE]) if str(folder) in n]
    assert "2 files are not named as a mask of a scan" in note
    assert run.run() == []


def test_the_folder_of_edited_masks_is_not_that_of_the_delivered_ones(run):
    for folder in (run.layout.derivatives, run.layout.derivatives / "sub-01", run.folder):
        config = run.config.model_copy(
            update={"corrected_masks": folder, "results": run.layout.root}
        )
        with pytest.raises(ConfigError, match="apart from the delivered masks"):
            Corrections.of(config)


def test_a_name_in_the_file_is_no_path(run):
    outside = run.folder / "outside"
    decide(run, "exclude", scan="../outside")
    decide(run, "shift", scan="../outside", value="1")
    assert run.run() == ["collect"]
    assert not outside.exists()


def test_corrections_of_a_scan_that_stopped_before_are_told(run):
    (run.folder / "data" / "sub-03_T2w.nii.gz").write_bytes(b"no image")
    run.index()  # the copy's own files
    decide(run, "shift", scan="sub-03_T2w", value="1")
    decide(run, "shift", value="-1")
    run.run()
    told = closing_line(run.layout, run.config).splitlines()
    assert [line for line in told if "1 scans" in line and "the first is sub-03_T2w" in line], told


def test_corrections_do_not_change_the_settings():
    from columna.config import config_sha256

    assert config_sha256(Config()) == config_sha256(Config(corrections="x", corrected_masks="y"))


def test_corrected_scans_are_training_data(run, tmp_path):
    with pytest.raises(CohortError, match="no scan of this run has corrected masks"):
        corrected_scans(run.layout.root)
    label = int(found(run).spineps_label.iloc[1])
    for scan in (ONE, TWO):
        edit(run, "instance", lambda a: np.where(a == label, 0, a), scan=scan)
    decide(run, "exclude", scan=TWO)
    run.run()
    mine = {"mine": DatasetSettings(sheet=run.layout.root)}
    assert mine["mine"].file == run.layout.tables / "scans.parquet"
    folder = tmp_path / "Dataset100_columna"
    (case,) = convert(mine, folder, 2, PrepareSettings(n4=False))
    assert (case.scan_id, case.status) == (ONE, "ok")
    instances = nib.load(instance_path(folder, case.case)).get_fdata()
    assert label not in set(np.unique(instances))
    assert set(found(run).spineps_label) <= set(np.unique(instances))
