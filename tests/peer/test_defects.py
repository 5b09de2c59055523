"""Defects of the released package, shown on it, beside what columna answers.

The unit tests named in docs/differences.md test columna's side in depth.
"""

import subprocess
from pathlib import Path

import numpy as np
import oracle
import pytest
from drawn_spine import BODY_ROWS, FIRST_ROW, SPACING_MM, add_space_above, draw_spine

from columna.config import LabelSettings
from columna.instance.centres import find_centres
from columna.instance.couples import Couple
from columna.instance.merge import merge_couples
from columna.instance.window_parts import Part
from columna.label import label_masks

pytestmark = pytest.mark.skipif(not oracle.can_run(), reason="the package is not installed")
TOP_DOWN = LabelSettings(naming="top_down", borders="nearest")


def topmost_space():
    drawn = draw_spine(3)
    add_space_above(drawn)
    return drawn


def thirteen():
    drawn = draw_spine(4)
    drawn.instance = np.array([0, 19, 28, 20, 21], np.uint8)[drawn.instance]
    return drawn


def split_c2():
    drawn = draw_spine(4, dens=True)
    drawn.instance[drawn.instance > 0] += 1
    top = drawn.instance[:20, : FIRST_ROW + 14]
    top[top > 0] = 1
    return drawn


def halved_process():
    drawn = draw_spine(4)
    process = np.argwhere((drawn.semantic == 45) & (drawn.instance == 2))
    drawn.instance[tuple(process[: len(process) * 3 // 4].T)] = 0
    return drawn


def no_instances():
    drawn = draw_spine(2, sacrum=False)
    drawn.instance[:] = 0
    return drawn


def body_in_two_pieces():
    drawn = draw_spine(6)
    row = drawn.row(3)
    drawn.semantic[13:15, row : row + BODY_ROWS, :] = 0
    return drawn


def parts_and_a_triple_without_votes():
    """Two equal views of one vertebra, and three views that share no voxel."""
    parts = np.zeros((5, 8, 8, 8), np.uint8)
    parts[:2, 1:5, 1:5, 1:5] = 1
    for place, row in ((2, 5), (3, 6), (4, 7)):
        parts[place, row] = 1
    return parts


def part_of(window, mask):
    return Part(window, tuple(slice(0, n) for n in mask.shape), mask > 0, int(mask.sum()))


LABELLED = {
    "topmost": topmost_space(),
    "split-c2": split_c2(),
    "process": halved_process(),
    "nothing": no_instances(),
    "thirty": draw_spine(30),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Answers of the package to all calls, by name: one process, since it takes long to start."""
    folder = tmp_path_factory.mktemp("calls")
    spacing = np.array(SPACING_MM)

    def ask(name, call, **arrays):
        np.savez(folder / f"{name}.npz", call=call, **arrays)

    for name, drawn in LABELLED.items():
        ask(name, "label", semantic=drawn.semantic, instance=drawn.instance, spacing=spacing)
    drawn = LABELLED["split-c2"]
    masks = {"semantic": drawn.semantic, "instance": drawn.instance}
    ask("split-c2-lps", "label", **masks, spacing=spacing, orientation=np.array(["L", "P", "S"]))
    ask(
        "thirteen",
        "derive",
        semantic=thirteen().semantic,
        instance=thirteen().instance,
        spacing=spacing,
    )
    ask(
        "pieces",
        "centres",
        semantic=body_in_two_pieces().semantic,
        spacing=spacing,
        min_voxels=40,
    )
    ask(
        "couples",
        "merge",
        parts=parts_and_a_triple_without_votes(),
        first_n=2,
        scores=np.array([0.9, 0.5]),
    )
    drawn = LABELLED["process"]
    ask("articular", "articular", semantic=drawn.semantic, instance=drawn.instance, spacing=spacing)
    script = Path(__file__).with_name("package_calls.py")
    subprocess.run([oracle.PYTHON, script, folder], check=True, capture_output=True)
    return {
        file.name.removesuffix(".answer.npz"): dict(np.load(file))
        for file in folder.glob("*.answer.npz")
    }


def ours(name, orientation=("P", "I", "R")):
    """Phase 3 of columna on masks stored along `orientation`, answered along P, I, R."""
    stored = [mask.reoriented(orientation) for mask in LABELLED[name].volumes()]
    found = label_masks(stored[0], *stored, TOP_DOWN)
    return found.semantic.reoriented().array, found.instance.reoriented().array


def test_w1_the_package_repairs_a_split_c2_in_one_orientation_only(package):
    def count(instance):
        return int((np.unique(instance[(instance > 0) & (instance < 26)])).size)

    assert count(package["split-c2"]["instance"]) == 4
    assert count(package["split-c2-lps"]["instance"]) == 5
    for orientation in ("PIR", "LPS"):
        assert count(ours("split-c2", tuple(orientation))[1]) == 4


def test_w2_the_package_loses_the_topmost_plate(package):
    plate = (slice(4, 24), FIRST_ROW - 1, slice(3, 11))
    assert (LABELLED["topmost"].semantic[plate] == 62).all()
    assert (package["topmost"]["semantic"][plate] == 0).all()
    assert {126, 226} <= set(np.unique(package["topmost"]["instance"]))
    semantic, instance = ours("topmost")
    assert (semantic[plate] == 52).all()
    assert not {126, 226} & set(np.unique(instance))
    assert (instance[plate] == 201).all()


def test_w3_the_package_wipes_plates_at_t13(package):
    plates = thirteen().semantic == 62
    lost = ~np.isin(package["thirteen"]["semantic"][plates], (52, 53, 62))
    assert lost.mean() > 0.2  # ours: test_label_steps.py::test_t13_keeps_its_plates


def test_w5_the_package_runs_into_the_sacrum_with_more_than_25_vertebrae(package):
    answer = package["thirty"]
    if "error" not in answer:
        body = (LABELLED["thirty"].semantic == 49) & (LABELLED["thirty"].instance == 25)
        assert (answer["instance"][body] == 26).all()
    drawn = LABELLED["thirty"]
    _, instance = ours("thirty")
    bodies = (drawn.semantic == 49) & (drawn.instance > 0)
    assert np.unique(instance[bodies]).size == 30
    assert 26 not in instance[bodies]


def test_w8_the_package_counts_a_body_in_two_pieces_twice(package):
    drawn = body_in_two_pieces()
    assert len(package["pieces"]["centres"]) == 7
    assert len(find_centres(drawn.semantic, np.array(SPACING_MM), min_voxels=40)) == 6


def test_w7_one_empty_couple_ends_the_scan_in_the_package(package):
    assert package["couples"]["code"] == "EMPTY"
    parts = [part_of(place, mask) for place, mask in enumerate(parts_and_a_triple_without_votes())]
    couples = [Couple(tuple(parts[:2]), 0.9), Couple(tuple(parts[2:]), 0.5)]
    merged = merge_couples(couples, (8, 8, 8), min_voxels=1)
    assert merged.max() == 1
    np.testing.assert_array_equal(merged > 0, parts_and_a_triple_without_votes()[0] > 0)


def test_w12_the_package_takes_a_process_from_its_vertebra(package):
    process = (LABELLED["process"].semantic == 45) & (draw_spine(4).instance == 2)
    before = LABELLED["process"].instance[process]
    assert (before == 2).any()
    assert (package["articular"]["instance"][process] == 0).all()
    _, instance = ours("process")
    assert (instance[process] == 3).all()


def test_the_package_fails_without_instances(package):
    assert "ValueError" in str(package["nothing"]["error"])
    semantic, instance = ours("nothing")
    assert not instance.any()
    assert (semantic == 49).any()
