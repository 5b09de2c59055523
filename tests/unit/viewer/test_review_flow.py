"""From the page to the tables and back: what the page shows after the workflow took decisions."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from small_run import SCANS, SmallRun

from columna.results.derivatives import Derivatives
from columna.viewer.make_review import make_review
from columna.viewer.worklist import WRONG_CORRECTION

pytestmark = pytest.mark.xdist_group("report")
SCAN = f"{SCANS[0]}_T2w"


@pytest.fixture
def run(reported, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(reported.folder, folder)
    files = {"corrections": folder / "corrections.tsv", "corrected_masks": folder / "corrected"}
    return SmallRun(folder, reported.config.model_copy(update=files))


def open_review(run):
    return make_review(run.layout, run.config.corrections, "ada", False, None)


def state_of(run):
    review = open_review(run)
    return review.state(review.scans[SCAN])


def names(run, key="now"):
    return [vertebra[key] for vertebra in state_of(run)["vertebrae"]]


def test_levels_are_found_now_and_delivered(run):
    desk = open_review(run).desk
    desk.decide(SCAN, {"decision": "shift", "value": "-1"})
    desk.decide(SCAN, {"decision": "name", "vertebra": "1", "value": "T11"})
    state = state_of(run)
    assert [v["delivered"] for v in state["vertebrae"]] == ["L1", "L2", "L3", "L4", "L5"]
    assert state["isPending"]
    run.run()
    state = state_of(run)
    assert names(run, "level") == ["L1", "L2", "L3", "L4", "L5"]
    assert names(run) == names(run, "delivered") == ["T11", "L1", "L2", "L3", "L4"]
    assert not state["isPending"]
    assert all(v["centre"] for v in state["vertebrae"])
    # decisions still count from the names without decisions
    desk.decide(SCAN, {"decision": "clear"})
    desk.decide(SCAN, {"decision": "clear", "vertebra": "1"})
    assert names(run) == ["L1", "L2", "L3", "L4", "L5"]
    assert state_of(run)["isPending"]


def test_vertebrae_of_an_edited_mask_keep_their_numbers(run):
    files = Derivatives(run.layout.derivatives, SCAN)
    folder = run.config.corrected_masks
    folder.mkdir()
    for path in (files.instance, files.semantic):
        image = nib.load(path)
        array = np.asanyarray(image.dataobj).copy()
        array[np.asanyarray(nib.load(files.instance).dataobj) == 21] = 0  # L2 is removed
        nib.save(nib.Nifti1Image(array, image.affine), folder / path.name)
    run.run()
    assert names(run, "position") == [1, 3, 4, 5]
    desk = open_review(run).desk
    desk.decide(SCAN, {"decision": "name", "vertebra": "3", "value": "L2"})
    assert names(run) == ["L1", "L2", "L4", "L5"]
    run.run()
    assert names(run) == names(run, "delivered") == ["L1", "L2", "L4", "L5"]
    assert not state_of(run)["isPending"]


def test_a_scan_whose_decisions_cannot_hold_comes_first_and_is_put_right(run):
    second = f"{SCANS[1]}_T2w"
    open_review(run).desk.decide(second, {"decision": "name", "vertebra": "1", "value": "L2"})
    run.run()
    review = open_review(run)
    assert review.work[0] == second
    assert review.scans[second].code == WRONG_CORRECTION
    assert "vertebra 2" in review.scan_page(review.scans[second])
    review.desk.decide(second, {"decision": "undo"})
    run.run()
    assert open_review(run).scans[second].status == "done"
