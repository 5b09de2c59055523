"""Levels that the cohort sheet gives are obeyed, or the scan is refused."""

import numpy as np
import pytest
from drawn_spine import draw_spine

from columna.cohort.index import build_index
from columna.config import Config, LabelSettings
from columna.errors import ScanRefused
from columna.label import label_masks, take_masks
from columna.label.given_anchor import Anchor
from columna.results.given_levels import LEVEL_COLUMNS, problem_of
from columna.results.layout import Layout
from columna.results.manifest import FIELDS, ScanEntry, list_batches, manifest_path, read_manifest
from columna.stages.by_name import make_stage


def names_with(count=6, sacrum=True, **given):
    masks = draw_spine(count, sacrum=sacrum).volumes()
    result = label_masks(masks[0], *masks, LabelSettings(), anchor=Anchor.of(given))
    assert {entry["level_anchor"] for entry in result.levels} == {"sheet"}
    return [entry["level"] for entry in result.levels], result


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"lowest_level": "L6"}, ["L1", "L2", "L3", "L4", "L5", "L6"]),
        ({"lowest_level": "L4"}, ["T11", "T12", "L1", "L2", "L3", "L4"]),
        ({"highest_level": "L1"}, ["L1", "L2", "L3", "L4", "L5", "L6"]),
        ({"highest_level": "T12", "lowest_level": "L5"}, ["T12", "L1", "L2", "L3", "L4", "L5"]),
        ({"anchor": "3=L3"}, ["L1", "L2", "L3", "L4", "L5", "L6"]),
    ],
)
def test_the_sheet_is_obeyed(given, names):
    found, result = names_with(**given)
    assert found == names
    fixed = {"lowest_level": -1, "highest_level": 0, "anchor": 2}
    for column in given:
        assert result.levels[fixed[column]]["level_confidence"] > 0.99


@pytest.mark.parametrize("level", ["C7", "T4", "T9", "L3"])
def test_without_landmarks_too(level):
    found, _ = names_with(5, sacrum=False, lowest_level=level)
    assert found[-1] == level


@pytest.mark.parametrize(
    "given", [{"lowest_level": "C3"}, {"anchor": "7=L3"}, {"highest_level": "L4"}]
)
def test_what_cannot_be_is_refused(given):
    masks = draw_spine(6).volumes()
    with pytest.raises(ScanRefused, match="6 vertebrae were found") as refusal:
        label_masks(masks[0], *masks, LabelSettings(), anchor=Anchor.of(given))
    assert refusal.value.code == "bad_anchor"


def test_given_masks_are_named_anew():
    drawn = draw_spine(5)
    semantic = drawn.volumes()[0]
    instance = drawn.volume(np.where(drawn.instance > 0, drawn.instance + 1, 0))
    result = take_masks(semantic, semantic, instance, LabelSettings(), Anchor(lowest_level="L5"))
    assert [entry["level"] for entry in result.levels] == ["L1", "L2", "L3", "L4", "L5"]
    assert set(np.unique(result.instance.array)) >= {20, 21, 22, 23, 24}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"lowest_level": "L5", "highest_level": "T13", "anchor": "2=C3"}, None),
        ({"lowest_level": "l5"}, "lowest_level"),
        ({"highest_level": "S1"}, "highest_level"),
        ({"anchor": "L5"}, "3=T12"),
        ({"anchor": "0=L5"}, "3=T12"),
        ({"anchor": "2=X"}, "anchor"),
    ],
)
def test_values_are_levels(row, problem):
    found = problem_of(row)
    assert (found is None) if problem is None else (problem in found)


def test_from_the_sheet_to_the_stage(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.nii").write_bytes(b"x")
    lines = [
        "participant_id\tpath\tlowest_level\thighest_level\tanchor",
        "p\ta.nii\t L5 \tn/a\t",
        "p\tb.nii\tL9\t\t",
        "p\tc.nii\t\t\t",
    ]
    (tmp_path / "sheet.tsv").write_text("\n".join(lines) + "\n")
    summary = build_index(tmp_path / "sheet.tsv", tmp_path / "out", 8)
    assert summary.input_status_n == {"bad_row": 1, "ok": 2}
    [batch] = list_batches(tmp_path / "out")
    entries = {e.scan_id: e for e in read_manifest(manifest_path(tmp_path / "out", batch))}
    assert entries["a"].given_levels == {"lowest_level": "L5"}
    assert entries["c"].given_levels == {}
    stage = make_stage("label", Config(), Layout(tmp_path / "results"))
    assert stage.dependencies(entries["a"])["levels"] == {"lowest_level": "L5"}
    assert "levels" not in stage.dependencies(entries["c"]), "others are not done again"


def test_fields_of_a_scan():
    values = ("s", "p", "", "/a.nii", "", "", "L5", "", "2=L2")
    entry = ScanEntry.of(dict(zip(FIELDS, values, strict=True)))
    assert entry.session_id is None
    assert entry.given_levels == {"lowest_level": "L5", "anchor": "2=L2"}
    assert set(entry.given_levels) < set(LEVEL_COLUMNS)
