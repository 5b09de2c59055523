"""The stage `picture`: it takes nothing from a scan, and scans that were refused are shown too."""

import numpy as np
import pytest
from PIL import Image
from small_run import SCANS, small_cohort

from columna.batch import run_batch
from columna.chain import MEASURED_STAGES, STAGES
from columna.config import Config, config_sha256
from columna.images.volume import load_volume, save_volume
from columna.picture.panels import PANELS
from columna.results.store import Store
from columna.stages import picture
from columna.stages.by_name import make_stage
from columna.upkeep.status import cohort_status

WANTED = 7
"""Files of a scan that are kept at most: six, and its picture."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = small_cohort(tmp_path_factory.mktemp("pictures"))
    path = run.folder / "data" / f"{SCANS[1]}_seg-vert_dseg.nii.gz"
    path.write_bytes(path.read_bytes()[:500])
    run.index()
    run.run()
    return run


def pictures(run):
    return {path.stem: path for path in (run.layout.root / "pictures").iterdir()}


def has_masks(path):
    """Whether the panel of the structures shows any: they have colours."""
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    panel = np.split(picture, len(PANELS), axis=1)[1]
    return bool((np.ptp(panel, axis=2) > 60).sum() > 100)


def test_every_scan_whose_image_was_read_has_a_picture(made):
    shown = {name: has_masks(path) for name, path in pictures(made).items()}
    assert shown == {f"{name}_T2w": name != SCANS[1] for name in SCANS}
    status = cohort_status(made.layout, made.config)
    assert status.stages["picture"] == {"done": 2}
    assert [stopped[:4] for stopped in status.stopped] == [
        (f"{SCANS[1]}_T2w", "label", "refused", "bad_mask")
    ]


def test_few_files_are_kept_of_a_scan(made):
    name = SCANS[0]
    kept = [p for p in made.layout.root.rglob(f"{name}*") if p.is_file()]
    assert len(kept) <= WANTED


def test_pictures_do_not_change_what_is_measured(made):
    on, off = Config(), Config(pictures={"enabled": False})
    assert config_sha256(on) == config_sha256(off)
    for stage in MEASURED_STAGES:
        assert make_stage(stage, on, made.layout).basis == make_stage(stage, off, made.layout).basis


def test_a_picture_that_fails_takes_nothing_from_the_scan(made, monkeypatch):
    before, tables = made.computations(), made.tables()

    def fail(item):
        raise ValueError("a defect")

    monkeypatch.setattr(picture, "draw_picture", fail)
    monkeypatch.setattr(picture.PictureStage, "version", 99)
    assert made.run()[0] == "picture b00001"
    failed = cohort_status(made.layout, made.config)
    assert failed.stages["picture"] == {"failed": 2}
    assert made.tables() == tables
    monkeypatch.undo()
    made.run()
    after = made.computations()
    assert {key for key in after if before.get(key) != after[key]} == {
        (f"{name}_T2w", "picture") for name in SCANS
    }
    assert made.tables() == tables


def test_a_lost_picture_is_drawn_again_alone_with_the_same_bytes(made):
    path = pictures(made)[f"{SCANS[2]}_T2w"]
    content, before = path.read_bytes(), made.computations()
    path.unlink()
    made.run()
    after = made.computations()
    changed = {key for key in after if before[key] != after[key]}
    assert changed == {(path.stem, "picture")}
    assert path.read_bytes() == content


def test_switched_off_there_are_none(tmp_path):
    run = small_cohort(tmp_path)
    run.index()
    run.run()
    assert len(pictures(run)) == len(SCANS)
    run.config = run.config.model_copy(
        update={"pictures": Config(pictures={"enabled": False}).pictures}
    )
    assert {job.split()[0] for job in run.run()} == {"picture"}
    assert not pictures(run)
    assert run.run() == []
    assert cohort_status(run.layout, run.config).stages["picture"] == {"done": len(SCANS)}


def test_a_scan_that_is_refused_now_is_not_shown_with_masks_of_an_earlier_run(tmp_path):
    run = small_cohort(tmp_path)
    run.index()
    run.run()
    store, name = Store(run.layout), f"{SCANS[0]}_T2w"
    assert has_masks(pictures(run)[name])
    mask = run.folder / "data" / f"{SCANS[0]}_seg-spine_dseg.nii.gz"
    volume = load_volume(mask)
    save_volume(volume.with_array(np.full_like(volume.array, 7)), mask)
    (run.layout.derivatives / "sub-01").rename(tmp_path / "elsewhere")
    run.index()
    run.run()
    assert store.read(name, "label").code == "mask_labels"
    assert store.read(name, "picture").status == "done"
    assert not has_masks(pictures(run)[name])


def test_the_stage_runs_alone(made):
    stage = make_stage(STAGES[-1], made.config, made.layout)
    assert run_batch(stage, "b00002", [], 1) == []
