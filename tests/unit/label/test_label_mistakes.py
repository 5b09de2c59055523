"""Mistakes that networks make do not shift the names, and what is no vertebra has none."""

import numpy as np
import pytest

from columna.anatomy import levels, vertebra_labels
from columna.config import LabelSettings
from columna.images.volume import PIR, Volume
from columna.label import label_masks
from columna.phantom import mistakes
from columna.phantom.generate import make_scene
from columna.phantom.settings import PhantomSettings

L3, L5, T8 = 22, 24, 15
COARSE = {"spacing_mm": (1.5, 1.5, 4.0)}


def label_after(mistake, *args, region="lumbar", seed=1):
    """Label a phantom after a mistake; what each instance should be, and its entry."""
    scene = make_scene(PhantomSettings(seed=seed, region=region, **COARSE))
    masks = (Volume(m, scene.grid.affine).reoriented(PIR) for m in (scene.semantic, scene.instance))
    semantic, instance = (mask.array.copy() for mask in masks)
    grid = Volume(scene.semantic, scene.grid.affine).reoriented(PIR)
    mistake(semantic, instance, *args)
    true = np.where(np.isin(instance, (*vertebra_labels(), mistakes.FALSE)), instance, 0)
    result = label_masks(grid, grid.with_array(semantic), grid.with_array(true), LabelSettings())
    found = {}
    for entry in result.levels:
        inside = true[(result.instance.array == entry["label"]) & (true > 0)]
        found[int(np.bincount(inside).argmax())] = entry
    return found, result


def nothing(semantic, instance):
    pass


def name(label):
    return levels()[label].name


def chance(entry, *names):
    return sum(entry["posterior"].get(n, 0) for n in names)


def assert_names_are_right(found, least=0.6):
    for label, entry in found.items():
        if label == mistakes.FALSE:
            assert entry["level"] is None
            assert entry["is_fragment"]
        else:
            assert entry["level"] == name(label), (name(label), entry["posterior"])
            assert entry["level_confidence"] >= least


@pytest.mark.parametrize("rows", [4, 8, 12])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sliver_of_s1_is_no_l5(rows, seed):
    found, _ = label_after(mistakes.call_upper_sacrum_body, rows, seed=seed)
    assert_names_are_right(found)
    assert chance(found[mistakes.FALSE], "S1", "false_piece") > 0.9
    assert chance(found[mistakes.FALSE], "S1") > 0.3 or rows == 4, "a speck is no S1"
    assert chance(found[mistakes.FALSE], "L5", "L6") < 0.1


@pytest.mark.parametrize("share", [0.35, 0.5])
@pytest.mark.parametrize("seed", [1, 2])
def test_half_of_l5_is_still_l5(share, seed):
    found, _ = label_after(mistakes.give_to_sacrum, L5, share, seed=seed)
    assert_names_are_right(found)
    assert chance(found[L5], "L5") > 0.6
    assert chance(found[L5], "S1", "false_piece") < 0.3


@pytest.mark.parametrize(("region", "label"), [("whole", T8), ("whole", L3), ("lumbar", L3)])
def test_a_missed_vertebra_leaves_a_gap_in_the_names(region, label):
    found, result = label_after(mistakes.miss_vertebra, label, region=region)
    assert label not in found
    assert_names_are_right(found, least=0.9 if region == "whole" else 0.6)
    assert name(label) not in [entry["level"] for entry in result.levels]


@pytest.mark.parametrize("region", ["whole", "cervicothoracic"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_c2_without_its_dens_is_no_c3(region, seed):
    """Networks lose the dens; then C2 is no landmark, but still the most probable name."""
    found, _ = label_after(mistakes.lose_dens, region=region, seed=seed)
    whole, _ = label_after(nothing, region=region, seed=seed)
    for label, entry in found.items():
        assert entry["level"] in (None, name(label)), entry["posterior"]
        assert chance(entry, name(label)) > 0.5
    if region == "whole":
        assert_names_are_right(found)
    assert_names_are_right(whole)


@pytest.mark.parametrize(("region", "label"), [("whole", T8), ("lumbar", L3)])
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_a_split_vertebra_is_one_and_a_piece(region, label, share):
    found, _ = label_after(mistakes.split_vertebra, label, share, region=region)
    halves = [found.pop(label), found.pop(mistakes.FALSE)]
    assert {entry["level"] for entry in halves} == {name(label), None}
    [piece] = [entry for entry in halves if entry["level"] is None]
    assert piece["is_fragment"]
    assert chance(piece, "false_piece") > 0.5
    assert_names_are_right(found, least=0.9 if region == "whole" else 0.6)


@pytest.mark.parametrize("region", ["lumbar", "thoracic"])
def test_a_false_body_in_fat_has_no_name(region):
    def add(semantic, instance):
        middle = semantic.shape[1] // 2
        centre = (semantic.shape[0] - 12, middle, semantic.shape[2] // 2)
        mistakes.add_false_body(semantic, instance, centre, (7, 6, 2.5))

    found, _ = label_after(add, region=region)
    plain, _ = label_after(nothing, region=region)
    piece = found.pop(mistakes.FALSE)
    assert piece["level"] is None
    assert piece["is_fragment"]
    assert chance(piece, "false_piece") > 0.95
    for label, entry in found.items():
        assert abs(chance(entry, name(label)) - chance(plain[label], name(label))) < 0.25
